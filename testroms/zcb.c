// Zcb: the additional compressed instructions ("Zcb" extension).
#include "rom.h"

static u64 cell;

#define ZCB ".option push\n.option arch, +zcb, +zbb, +zba\n"
#define UNARY(instruction, a) ({ register u64 v_ asm("a0") = (u64)(a); asm volatile(ZCB instruction " a0\n.option pop" : "+r"(v_)); v_; })
#define LOAD(instruction, offset) ({ register u64 v_ asm("a0") = (u64)&cell; asm volatile(ZCB instruction " a0, " #offset "(a0)\n.option pop" : "+r"(v_) :: "memory"); v_; })
#define STORE(instruction, value, offset) ({ register u64 v_ asm("a0") = (u64)(value); register u64 p_ asm("a1") = (u64)&cell; \
    asm volatile(ZCB instruction " a0, " #offset "(a1)\n.option pop" :: "r"(v_), "r"(p_) : "memory"); })

RULE("zcb") {
    cell = 0x8877665584838281;
    check(LOAD("c.lbu", 0), 0x81);
    check(LOAD("c.lbu", 1), 0x82);
    check(LOAD("c.lbu", 2), 0x83);
    check(LOAD("c.lbu", 3), 0x84);
    check(LOAD("c.lhu", 0), 0x8281);
    check(LOAD("c.lhu", 2), 0x8483);
    check(LOAD("c.lh", 0), 0xffffffffffff8281);
    check(LOAD("c.lh", 2), 0xffffffffffff8483);
    STORE("c.sb", 0x1211, 3);
    check(cell, 0x8877665511838281);
    STORE("c.sh", 0x99995678, 2);
    check(cell, 0x8877665556788281);
    u64 value = 0x123456789abcdef0;
    check(UNARY("c.zext.b", value), 0xf0);
    check(UNARY("c.sext.b", value), 0xfffffffffffffff0);
    check(UNARY("c.zext.h", value), 0xdef0);
    check(UNARY("c.sext.h", value), 0xffffffffffffdef0);
    check(UNARY("c.zext.w", value), 0x9abcdef0);
    check(UNARY("c.not", value), ~value);
    register u64 a0 asm("a0") = 0x100000003;
    register u64 a1 asm("a1") = 5;
    asm volatile(ZCB "c.mul a0, a1\n.option pop" : "+r"(a0) : "r"(a1));
    check(a0, 0x50000000f);
}
