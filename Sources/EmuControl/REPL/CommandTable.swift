/// Every command, in the order `help` shows them.
enum CommandTable {
    static let all: [Command] = running + breakpoints + looking + guest + diagnosis + recording + changing + debugger
}
