extension RVTable {
    /// Zca: the compressed instructions without floating point (RV64). Each decodes to the operation it expands to; code points
    /// that expand to an instruction without effect are HINTs and need no rows; shifts by zero have names, those of RV128.
    static let c: [RVInstruction] = [
        .init("c.addi4spn", "000 iiiiiiii ddd 00", .compressed(), .cAddi4spn, .addi),
        .reserved("c.addi4spn", "000 00000000 ddd 00", .compressed(), refines: "c.addi4spn"),
        .init("c.lw", "010 iii sss ii ddd 00", .compressed(), .cLoadWord, .lw),
        .init("c.ld", "011 iii sss ii ddd 00", .compressed(), .cLoadDouble, .ld),
        .init("c.sw", "110 iii sss ii ttt 00", .compressed(), .cStoreWord, .sw),
        .init("c.sd", "111 iii sss ii ttt 00", .compressed(), .cStoreDouble, .sd),

        .init("c.addi", "000 i ddddd iiiii 01", .compressed(), .cImmediate, .addi),
        .init("c.addiw", "001 i ddddd iiiii 01", .compressed(), .cImmediate, .addiw),
        .reserved("c.addiw", "001 i 00000 iiiii 01", .compressed(), refines: "c.addiw"),
        .init("c.li", "010 i ddddd iiiii 01", .compressed(), .cLoadImmediate, .addi),
        .init("c.lui", "011 i ddddd iiiii 01", .compressed(), .cUpper, .lui),
        .init("c.addi16sp", "011 i 00010 iiiii 01", .compressed(), .cAddi16sp, .addi, refines: "c.lui"),
        .reserved("c.lui", "011 0 ddddd 00000 01", .compressed(), refines: "c.lui", "c.addi16sp"),
        .init("c.srli", "100 i 00 ddd iiiii 01", .compressed(), .cShiftShort, .srli),
        .init("c.srai", "100 i 01 ddd iiiii 01", .compressed(), .cShiftShort, .srai),
        .init("c.srli64", "100 0 00 ddd 00000 01", .compressed(), .cShiftShort64, .srli, refines: "c.srli"),
        .init("c.srai64", "100 0 01 ddd 00000 01", .compressed(), .cShiftShort64, .srai, refines: "c.srai"),
        .init("c.andi", "100 i 10 ddd iiiii 01", .compressed(), .cImmediateShort, .andi),
        .init("c.sub", "100 0 11 ddd 00 ttt 01", .compressed(), .cArithmetic, .sub),
        .init("c.xor", "100 0 11 ddd 01 ttt 01", .compressed(), .cArithmetic, .xor),
        .init("c.or", "100 0 11 ddd 10 ttt 01", .compressed(), .cArithmetic, .or),
        .init("c.and", "100 0 11 ddd 11 ttt 01", .compressed(), .cArithmetic, .and),
        .init("c.subw", "100 1 11 ddd 00 ttt 01", .compressed(), .cArithmetic, .subw),
        .init("c.addw", "100 1 11 ddd 01 ttt 01", .compressed(), .cArithmetic, .addw),
        .init("c.j", "101 iiiiiiiiiii 01", .compressed(), .cJump, .jal),
        .init("c.beqz", "110 iii sss iiiii 01", .compressed(), .cBranch, .beq),
        .init("c.bnez", "111 iii sss iiiii 01", .compressed(), .cBranch, .bne),

        .init("c.slli", "000 i ddddd iiiii 10", .compressed(), .cShift, .slli),
        .init("c.slli64", "000 0 ddddd 00000 10", .compressed(), .cShift64, .slli, refines: "c.slli"),
        .init("c.lwsp", "010 i ddddd iiiii 10", .compressed(), .cLoadWordStack, .lw),
        .reserved("c.lwsp", "010 i 00000 iiiii 10", .compressed(), refines: "c.lwsp"),
        .init("c.ldsp", "011 i ddddd iiiii 10", .compressed(), .cLoadDoubleStack, .ld),
        .reserved("c.ldsp", "011 i 00000 iiiii 10", .compressed(), refines: "c.ldsp"),
        .init("c.mv", "100 0 ddddd ttttt 10", .compressed(), .cMove, .add),
        .init("c.jr", "100 0 sssss 00000 10", .compressed(), .cJumpRegister, .jalr, refines: "c.mv"),
        .reserved("c.jr", "100 0 00000 00000 10", .compressed(), refines: "c.jr", "c.mv"),
        .init("c.add", "100 1 ddddd ttttt 10", .compressed(), .cAdd, .add),
        .init("c.jalr", "100 1 sssss 00000 10", .compressed(), .cCallRegister, .jalr, refines: "c.add"),
        .init("c.ebreak", "100 1 00000 00000 10", .compressed(), .none, .ebreak, refines: "c.jalr", "c.add"),
        .init("c.swsp", "110 iiiiii ttttt 10", .compressed(), .cStoreWordStack, .sw),
        .init("c.sdsp", "111 iiiiii ttttt 10", .compressed(), .cStoreDoubleStack, .sd),
    ]

    /// Zcd: compressed double-precision loads and stores.
    static let zcd: [RVInstruction] = [
        .init("c.fld", "001 iii sss ii ddd 00", .compressedDouble, .cLoadFloatDouble, .fld),
        .init("c.fsd", "101 iii sss ii ttt 00", .compressedDouble, .cStoreFloatDouble, .fsd),
        .init("c.fldsp", "001 i ddddd iiiii 10", .compressedDouble, .cLoadFloatStack, .fld),
        .init("c.fsdsp", "101 iiiiii ttttt 10", .compressedDouble, .cStoreFloatStack, .fsd),
    ]

    /// Zcb: more compressed instructions; some need the extension of what they expand to.
    static let zcb: [RVInstruction] = [
        .init("c.lbu", "100 000 sss ii ddd 00", .all(.zcb), .cLoadByte, .lbu),
        .init("c.lhu", "100 001 sss 0i ddd 00", .all(.zcb), .cLoadHalf, .lhu),
        .init("c.lh", "100 001 sss 1i ddd 00", .all(.zcb), .cLoadHalf, .lh),
        .init("c.sb", "100 010 sss ii ttt 00", .all(.zcb), .cStoreByte, .sb),
        .init("c.sh", "100 011 sss 0i ttt 00", .all(.zcb), .cStoreHalf, .sh),
        .init("c.mul", "100 1 11 ddd 10 ttt 01", .all(.zcb, .m), .cArithmetic, .mul),
        .init("c.zext.b", "100 1 11 ddd 11 000 01", .all(.zcb), .cUnary, .andi, constant: 255),
        .init("c.sext.b", "100 1 11 ddd 11 001 01", .all(.zcb, .zbb), .cUnary, .sext_b),
        .init("c.zext.h", "100 1 11 ddd 11 010 01", .all(.zcb, .zbb), .cUnary, .zext_h),
        .init("c.sext.h", "100 1 11 ddd 11 011 01", .all(.zcb, .zbb), .cUnary, .sext_h),
        .init("c.zext.w", "100 1 11 ddd 11 100 01", .all(.zcb, .zba), .cUnary, .add_uw),
        .init("c.not", "100 1 11 ddd 11 101 01", .all(.zcb), .cUnary, .xori, constant: -1),
    ]
}
