// Compilers turn assignments of structures into calls to these even without a C library.
void *memset(void *target, int value, unsigned long length) {
    unsigned char *bytes = target;
    for (unsigned long i = 0; i < length; i++) bytes[i] = (unsigned char)value;
    return target;
}

void *memcpy(void *target, const void *source, unsigned long length) {
    unsigned char *to = target;
    const unsigned char *from = source;
    for (unsigned long i = 0; i < length; i++) to[i] = from[i];
    return target;
}
