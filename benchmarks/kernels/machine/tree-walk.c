// variants: host linux
// A tree of 1000 files in 110 folders of the working folder, walked with all facts about each file.
#include "bench.h"
#include "os.h"
enum { FILES = 1000, FOLDERS = 10 };
BENCH("tree-walk", FILES);
static char path[128] = "bench-tree-";

static char *append(char *to, const char *text) {
    while ((*to = *text++)) to++;
    return to;
}

static char *append_digit(char *to, char letter, int digit) {
    *to++ = '/', *to++ = letter, *to++ = (char)('0' + digit), *to = 0;
    return to;
}

void bench_setup(void) {
    char *root = path;
    while (*root) root++;
    // A name of this process's own.
    for (long id = os_call(OS_GETPID, 0, 0, 0, 0, 0, 0); id; id /= 10) *root++ = (char)('0' + id % 10);
    *root = 0;
    if (os_mkdir(path) < 0) bench_fail("cannot make a folder");
    for (int i = 0; i < FOLDERS; i++) {
        char *outer = append_digit(root, 'a', i);
        os_mkdir(path);
        for (int j = 0; j < FOLDERS; j++) {
            char *inner = append_digit(outer, 'b', j);
            os_mkdir(path);
            for (int k = 0; k < FILES / FOLDERS / FOLDERS; k++) {
                append_digit(inner, 'c', k);
                long file = os_open(path, OS_CREATE | OS_READ_WRITE, 0644);
                if (file < 0) bench_fail("cannot make a file");
                os_write(file, path, i + j + k + 1);
                os_close(file);
            }
        }
    }
    *root = 0;
}

struct entry { u64 inode, offset; u16 length; u8 kind; char name[]; };

static u64 walk(char *end) {
    long folder = os_open(path, OS_READ_ONLY, 0);
    if (folder < 0) bench_fail("cannot open a folder");
    u64 buffer[512], sum = 1;
    long filled;
    while ((filled = os_call(OS_GETDENTS, folder, (long)buffer, sizeof buffer, 0, 0, 0)) > 0)
        for (long at = 0; at < filled;) {
            struct entry *entry = (struct entry *)((u8 *)buffer + at);
            at += entry->length;
            if (entry->name[0] == '.') continue;
            *end = '/';
            char *next = append(end + 1, entry->name);
            u64 facts[32] = {0};
            if (os_call(OS_FSTATAT, OS_AT_CWD, (long)path, (long)facts, 0, 0, 0) < 0) bench_fail("cannot look at a file");
            // The size is at offset 48 in the layouts of both kinds of system. Sums do not depend on the order of entries.
            sum += entry->kind == 4 ? walk(next) : facts[6];
        }
    os_close(folder);
    *end = 0;
    return sum;
}

u64 bench_run(void) {
    char *end = path;
    while (*end) end++;
    return walk(end);
}
