import EmuMachine

extension DeviceConfig {
    /// As `-device` takes it: `DRIVER[,NAME=VALUE…]`.
    init(line: String) {
        var words = line.split(separator: ",").map(String.init)
        self.init(driver: words.removeFirst())
        properties = words.map { word in
            let halves = word.split(separator: "=", maxSplits: 1).map(String.init)
            return Property(name: halves[0], value: halves[1])
        }
    }
}
