#ifndef EMULATE_HOSTFOLDER_H
#define EMULATE_HOSTFOLDER_H

// Files of a folder reached step by step, never by a path that the host would follow for us. A node is a descriptor that only names
// a file (O_PATH). Each function returns -1 with errno set when it fails.
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// The folder at `path`, following symbolic links: what the user named.
int host_folder_root(const char *path);
/// What `name`, one component, is in the folder `node`; a symbolic link is itself.
int host_folder_step(int node, const char *name);
/// Opens the file a node names for reading or writing with open's `flags`. The caller has seen that it is a regular file or a folder.
int host_folder_open(int node, int flags);
/// A node for the file that `descriptor` has open.
int host_folder_node(int descriptor);
int host_folder_chown(int node, uid_t owner, gid_t group);
/// Bytes of a symbolic link's text, at most `size`.
ssize_t host_folder_readlink(int node, char *text, size_t size);
/// Another name, in the folder `target`, for the file a node names.
int host_folder_link(int node, int target, const char *name);

struct host_folder_space {
    uint32_t block_size, name_length;
    uint64_t blocks, free_blocks, available_blocks, files, free_files, identity;
};
/// The file system a node lies in.
int host_folder_space(int node, struct host_folder_space *space);

/// Locks of open file descriptions (F_OFD_SETLK, F_OFD_GETLK): 0 read, 1 write, 2 none; `length` 0 reaches to the end of the file.
struct host_folder_lock {
    int16_t type;
    int64_t start, length;
    int32_t owner;
};
/// Sets a lock without waiting: EAGAIN where somebody else's is in the way.
int host_folder_lock(int descriptor, const struct host_folder_lock *lock);
/// Replaces `lock` by one that is in its way; its type becomes none where there is none.
int host_folder_test_lock(int descriptor, struct host_folder_lock *lock);

#endif
