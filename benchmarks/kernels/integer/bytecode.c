// variants: host machine supervisor linux
// A stack machine's interpreter, one switch in a loop, running a Collatz search: indirect jumps.
#include "bench.h"
BENCH("bytecode", 1);
enum op { PUSH, LOAD, STORE, ADD, SUB, MUL, HALVE, ODD, LESS, JUMP, JUMP_IF_ZERO, INCREMENT, STOP };

// Variables: 0 the number, 1 the sequence's member, 2 its steps, 3 all steps.
static i32 code[80];
static int length;

static void emit(i32 word) { code[length++] = word; }

void bench_setup(void) {
    length = 0;
    emit(PUSH), emit(1), emit(STORE), emit(0);
    int each = length;
    emit(LOAD), emit(0), emit(STORE), emit(1), emit(PUSH), emit(0), emit(STORE), emit(2);
    int loop = length;
    emit(LOAD), emit(1), emit(PUSH), emit(1), emit(SUB), emit(JUMP_IF_ZERO);
    int leave = length;
    emit(0);
    emit(LOAD), emit(1), emit(ODD), emit(JUMP_IF_ZERO);
    int even = length;
    emit(0);
    emit(LOAD), emit(1), emit(PUSH), emit(3), emit(MUL), emit(INCREMENT), emit(STORE), emit(1), emit(JUMP);
    int next = length;
    emit(0);
    code[even] = length;
    emit(LOAD), emit(1), emit(HALVE), emit(STORE), emit(1);
    code[next] = length;
    emit(LOAD), emit(2), emit(INCREMENT), emit(STORE), emit(2), emit(JUMP), emit(loop);
    code[leave] = length;
    emit(LOAD), emit(3), emit(LOAD), emit(2), emit(ADD), emit(STORE), emit(3);
    emit(LOAD), emit(0), emit(INCREMENT), emit(STORE), emit(0);
    emit(LOAD), emit(0), emit(PUSH), emit(600), emit(LESS), emit(JUMP_IF_ZERO);
    int stop = length;
    emit(0);
    emit(JUMP), emit(each);
    code[stop] = length;
    emit(STOP);
}

static NOINLINE u64 interpret(const i32 *pc) {
    i64 variables[4] = {0}, stack[16], *top = stack;
    for (;;) {
        switch (*pc++) {
        case PUSH: *top++ = *pc++; break;
        case LOAD: *top++ = variables[*pc++]; break;
        case STORE: variables[*pc++] = *--top; break;
        case ADD: top--; top[-1] += top[0]; break;
        case SUB: top--; top[-1] -= top[0]; break;
        case MUL: top--; top[-1] *= top[0]; break;
        case HALVE: top[-1] >>= 1; break;
        case ODD: top[-1] &= 1; break;
        case LESS: top--; top[-1] = top[-1] < top[0]; break;
        case INCREMENT: top[-1]++; break;
        case JUMP: pc = code + *pc; break;
        case JUMP_IF_ZERO: pc = *--top ? pc + 1 : code + *pc; break;
        case STOP: return (u64)variables[3];
        }
    }
}

u64 bench_run(void) { return interpret(code); }
