import EmuCPU
import Testing

@Suite struct PrivilegedConfigTests {
    static func message(_ option: String) -> String {
        do {
            _ = try RVConfig.parse(option)
            return ""
        } catch { return error.description }
    }

    static func has(_ option: String, _ extensions: RVExtension...) throws -> [Bool] {
        let config = try RVConfig.parse(option)
        return extensions.map(config.extensions.contains)
    }

    static let hypervisorParts: [RVExtension] = [.sha, .shcounterenw, .shgatpa, .shlcofideleg, .shtvala, .shvsatpa, .shvstvala, .shvstvecd]

    @Test("h brings its parts along unless they are switched off; sha is the sum of its own")
    func hypervisorBringsItsParts() throws {
        let config = try RVConfig.parse("rv64,h=on")
        #expect(Self.hypervisorParts.allSatisfy(config.extensions.contains))
        #expect(config.isaString.hasPrefix("rv64imafdch_") && config.isaString.contains("_sha_shcounterenw_shgatpa_shlcofideleg_shtvala_shvsatpa_shvstvala_shvstvecd_sm"))
        #expect(try Self.has("rv64,h=on,shtvala=off", .h, .shtvala, .sha, .shgatpa) == [true, false, false, true])
        #expect(try Self.has("max,h=off", .h, .sha, .shgatpa, .shlcofideleg) == [false, false, false, false])
        #expect(try Self.has("rv64,h=on,sscofpmf=off", .shlcofideleg, .sha) == [false, true])
        #expect(Self.message("rv64,sha=on").contains("sha needs h"))
        #expect(Self.message("rv64,h=on,mmu=off").contains("h needs sv39"))
    }

    @Test func modelsDifferInWhatIsNew() throws {
        // Vectors, the hypervisor, and what needs interrupt files on the board.
        let optional: [RVExtension] = [
            .v, .zvbb, .zvbc, .zvfbfmin, .zvfbfwma, .zvfh, .zvfhmin, .zvkb, .zvkg, .zvkned, .zvknha, .zvknhb, .zvksed, .zvksh, .zvkt, .smaia, .ssaia, .h,
        ] + Self.hypervisorParts
        let late: [RVExtension] = [.svade, .smrnmi, .smdbltrp]
        #expect(try RVConfig.parse("MAX").extensions.members == RVExtension.allCases.filter { !late.contains($0) })
        #expect(try RVConfig.parse("rv64").extensions.members == RVExtension.allCases.filter { !late.contains($0) && !optional.contains($0) })
    }

    @Test func vectorRegistersHaveTheLengthAskedFor() throws {
        #expect(try RVConfig.parse("max").vectorLength == 256)
        for length in [128, 256, 512, 1024] { #expect(try RVConfig.parse("rv64,v=on,VLEN=\(length)").vectorLength == length) }
        for wrong in ["64", "200", "2048", "-128", "long", ""] { #expect(Self.message("max,vlen=\(wrong)").contains("use 128, 256, 512 or 1024")) }
        #expect(Self.message("rv64,vlen=512").contains("add v=on"))
        #expect(try Self.has("max,d=off", .v, .zvfh, .zvfhmin) == [false, false, false])
        #expect(Self.message("rv64,v=on,d=off").contains("v needs d"))
        #expect(Self.message("max,vlem=on").contains("did you mean 'vlen'?"))
    }

    @Test func isaStringNamesThePartsOfV() throws {
        let config = try RVConfig.parse("max,vlen=512")
        #expect(config.isaString.hasPrefix("rv64imafdcvh_zic64b_"))
        #expect(config.isaString.contains(
            "_ztso_zvbb_zvbc_zve32f_zve32x_zve64d_zve64f_zve64x_zvfbfmin_zvfbfwma_zvfh_zvfhmin_zvkb_zvkg_zvkned_zvknha_zvknhb_zvksed_zvksh_zvkt_"
                + "zvl32b_zvl64b_zvl128b_zvl256b_zvl512b_sdtrig_sha_shcounterenw_"))
        #expect(config.misa >> 21 & 1 == 1)
        #expect(try RVConfig.parse("rv64").misa >> 21 & 1 == 0)
        #expect(try RVConfig.parse("rv64,v=on,vlen=128").isaString.contains("_ztso_zve32f_zve32x_zve64d_zve64f_zve64x_zvl32b_zvl64b_zvl128b_sdtrig_smcdeleg_"))
    }

    @Test func switchesTakeAnyCaseAndSpelling() throws {
        for off in ["zba=off", "ZBA=OFF", "zba=false", "Zba=no"] { #expect(try Self.has("rv64,\(off)", .zba) == [false]) }
        for on in ["svade=on", "svade=true", "SVADE=yes"] { #expect(try Self.has("rv64,\(on)", .svade) == [true]) }
        #expect(try Self.has("rv64,zba=off,zba=on", .zba) == [true])
    }

    @Test func dependentsFollowSilently() throws {
        #expect(try Self.has("rv64,f=off", .f, .d, .zfh, .zfhmin, .zfa, .zcd, .zca, .c) == [false, false, false, false, false, false, true, true])
        #expect(try Self.has("rv64,a=off", .a, .zaamo, .zalrsc, .zabha, .zacas, .zawrs) == [false, false, false, false, false, false])
        #expect(try Self.has("rv64,zaamo=off", .a, .zalrsc, .zacas, .zawrs) == [false, true, false, true])
        #expect(try Self.has("rv64,c=off", .zca, .zcb, .zcd, .zcmop) == [false, false, false, false])
        #expect(try Self.has("rv64,c=off,zca=on", .c, .zca, .zcb, .zcd) == [false, true, true, false])
        #expect(try Self.has("rv64,sv48=off", .sv39, .sv48, .sv57) == [true, false, false])
        #expect(try Self.has("rv64,mmu=off", .sv39, .sv57, .svadu, .svnapot, .svpbmt) == [false, false, false, false, false])
        #expect(try Self.has("rv64,b=off", .zba, .zbb, .zbs, .zbc) == [false, false, false, true])
        #expect(try Self.has("rv64,zihpm=off", .sscofpmf) == [false])
    }

    @Test func contradictionsNameBothSides() {
        #expect(Self.message("rv64,f=off,d=on").contains("d needs f"))
        #expect(Self.message("rv64,d=on,f=off").contains("d needs f"))
        #expect(Self.message("rv64,sv57=on,sv39=off").contains("sv57 needs sv48") || Self.message("rv64,sv57=on,sv39=off").contains("sv48 needs sv39"))
        #expect(Self.message("rv64,a=off,zacas=on").contains("zacas needs zaamo"))
        #expect(Self.message("rv64,c=on,zcd=off").contains("c needs zcd"))
        #expect(Self.message("rva22s64,smstateen=on").contains("smstateen needs ssstateen"))
        #expect(Self.message("rv64,zicsr=off").contains("zicsr cannot be switched off"))
    }

    @Test func unknownNamesGetTheNearestOne() {
        #expect(Self.message("rv46").contains("did you mean 'rv64'?"))
        #expect(Self.message("rv64,zbaa=on").contains("did you mean 'zba'?"))
        #expect(Self.message("rv64,svpmbt=on").contains("did you mean 'svpbmt'?"))
        #expect(!Self.message("rv64,quadrature=on").contains("did you mean"))
        #expect(Self.message("rv64,zba").contains("zba=on or =off"))
        #expect(Self.message("rv64,zba=maybe").contains("zba=maybe is neither on nor off"))
        #expect(Self.message("").contains("-cpu help") && Self.message("rv64,").contains("needs a value"))
    }

    @Test func groupsStandForTheirMembers() throws {
        let suites: [(String, [RVExtension])] = [
            ("zkn", [.zbkb, .zbkc, .zbkx, .zknd, .zkne, .zknh]), ("zks", [.zbkb, .zbkc, .zbkx, .zksed, .zksh]),
            ("zk", [.zbkb, .zbkc, .zbkx, .zknd, .zkne, .zknh, .zkr, .zkt]),
        ]
        for (group, members) in suites {
            let without = try RVConfig.parse("rv64,\(group)=off").extensions
            #expect(try without.members == RVConfig.parse("rv64").extensions.members.filter { !members.contains($0) }, "\(group)")
            let with = try RVConfig.parse("rva22s64,\(group)=on").extensions
            #expect(members.allSatisfy(with.contains), "\(group)")
        }
    }

    @Test func groupsOfVectorCryptographyBuildOnVectors() throws {
        let suites: [(String, [RVExtension])] = [
            ("zvkn", [.zvkb, .zvkned, .zvknhb, .zvkt]), ("zvknc", [.zvbc, .zvkb, .zvkned, .zvknhb, .zvkt]), ("zvkng", [.zvkb, .zvkg, .zvkned, .zvknhb, .zvkt]),
            ("zvks", [.zvkb, .zvksed, .zvksh, .zvkt]), ("zvksc", [.zvbc, .zvkb, .zvksed, .zvksh, .zvkt]), ("zvksg", [.zvkb, .zvkg, .zvksed, .zvksh, .zvkt]),
        ]
        for (group, members) in suites {
            let found = try RVConfig.parse("rv64,v=on,\(group)=on").extensions.members.filter { $0.name.hasPrefix("zv") }
            #expect(found == members, "\(group)")
            #expect(Self.message("rv64,\(group)=on").contains("needs v, which is off"))
        }
        #expect(Self.message("rv64,v=on,zvfbfwma=on").contains("zvfbfwma needs zvfbfmin"))
        #expect(try Self.has("max,v=off", .zvbb, .zvkt, .zvfbfwma) == [false, false, false])
    }

    /// "RVA22S64 Profile", "RVA23S64 Profile": what is mandatory, and nothing else.
    @Test func profileModelsHaveExactlyWhatIsMandatory() throws {
        let rva22 = try RVConfig.parse("rva22s64")
        let names =
            "i m a f d c zic64b zicbom zicbop zicboz ziccamoa ziccif zicclsm ziccrse zicntr zicsr zifencei zihintpause zihpm "
            + "za64rs zaamo zalrsc zfhmin zca zcd zba zbb zbs zkt ssccptr sscounterenw sstvala sstvecd svade svbare svinval svpbmt"
        #expect(rva22.isaExtensions == names.split(separator: " ").map(String.init))
        #expect(rva22.mmuType == "riscv,sv39")
        #expect(try Self.has("rva22s64,sstc=on,sv48=on", .sstc, .sv48, .sscofpmf) == [true, true, false])
        let rva23 = try RVConfig.parse("rva23s64,expansion=off")
        let more =
            "i m a f d c v h zic64b zicbom zicbop zicboz ziccamoa ziccif zicclsm ziccrse zicntr zicond zicsr zifencei zihintntl zihintpause zihpm zimop "
            + "za64rs zaamo zalrsc zawrs zfa zfhmin zca zcb zcd zcmop zba zbb zbs zkt zvbb zve32f zve32x zve64d zve64f zve64x zvfhmin zvkt "
            + "zvl32b zvl64b zvl128b zvl256b sha shcounterenw shgatpa shtvala shvsatpa shvstvala shvstvecd "
            + "ssccptr sscofpmf sscounterenw ssnpm ssstateen sstc sstvala sstvecd ssu64xl supm svade svbare svinval svnapot svpbmt"
        #expect(rva23.isaExtensions == more.split(separator: " ").map(String.init))
        // The default, with the options that the profiles call expansion.
        let options: [RVExtension] = [.zicfilp, .zicfiss, .zfbfmin, .zfh, .zbc, .zkr, .zvfbfmin, .zvfbfwma, .zvfh, .sdtrig, .smnpm, .svadu, .svvptc, .sv48, .sv57]
        let standard = try RVConfig.parse("rva23s64")
        #expect(standard.extensions.members.filter { !rva23.extensions.contains($0) } == options && rva23.extensions.isSubset(of: standard.extensions))
        #expect(RVConfig.standardModel == "rva23s64" && RVConfig.standard.extensions == standard.extensions)
    }

    @Test func extensionsOf32BitProcessorsSayWhatReplacesThem() {
        #expect(Self.message("rv64,zilsd=on").contains("zilsd is for 32-bit processors; on this one ld and sd"))
        #expect(Self.message("rv64,Zclsd=off").contains("c.ld and c.sd are in zca"))
        #expect(RVConfig.helpText.contains("Of 32-bit processors only:\n  zcf           c.ld and c.sd have its encodings\n  zclsd         c.ld and c.sd are in zca\n  zilsd         ld and sd are"))
    }

    /// More than one word of extensions: the last ones are as good as the first.
    @Test func setsHoldEveryExtension() {
        for each in RVExtension.allCases {
            var set = RVExtensionSet([each])
            #expect(set.members == [each] && set.isSubset(of: RVExtensionSet(RVExtension.allCases)))
            #expect(!set.isSubset(of: RVExtensionSet(RVExtension.allCases.filter { $0 != each })))
            set.remove(each)
            #expect(set == RVExtensionSet())
        }
    }

    @Test func isaStringIsCanonical() throws {
        let config = try RVConfig.parse("rv64")
        #expect(config.isaString.hasPrefix("rv64imafdc_zic64b_zicbom_zicbop_zicboz_ziccamoa_ziccamoc_ziccif_zicclsm_ziccrse_"))
        #expect(config.isaString.contains("_zbb_zbc_zbkb_zbkc_zbkx_zbs_zknd_zkne_zknh_zkr_zksed_zksh_zkt_ztso_sdtrig_smcdeleg_"))
        #expect(config.isaString.hasSuffix("_svadu_svbare_svinval_svnapot_svpbmt_svrsw60t59b_svvptc"))
        #expect(config.isaExtensions.first == "i" && !config.isaExtensions.contains("sv39"))
        #expect(try RVConfig.parse("rv64,f=off,a=off,c=off,zca=on").isaString.hasPrefix("rv64im_zic64b_zicbom"))
    }

    @Test func memoryManagementTypeIsTheDeepest() throws {
        #expect(try RVConfig.parse("rv64").mmuType == "riscv,sv57")
        #expect(try RVConfig.parse("rv64,sv57=off").mmuType == "riscv,sv48")
        #expect(try RVConfig.parse("rv64,sv48=off").mmuType == "riscv,sv39")
        #expect(try RVConfig.parse("rv64,mmu=off").mmuType == "riscv,none")
    }

    @Test func helpListsEveryName() {
        for each in RVExtension.allCases { #expect(RVConfig.helpText.contains("  \(each.name) ")) }
        #expect(RVConfig.helpText.contains("  rva23s64      what the RVA23S64 profile makes mandatory and its expansion options; the default\n"))
        // Which models have it, where not all do.
        for line in ["svade         page faults on clear accessed and dirty bits (rva23s64, rva22s64)", "sv39          three-level page tables", "ztso          total store ordering (rv64, max)"] {
            #expect(RVConfig.helpText.contains("  \(line)\n"), "\(line)")
        }
    }
}
