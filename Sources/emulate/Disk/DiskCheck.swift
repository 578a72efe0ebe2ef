import EmuBus
import EmuDevices

extension DiskCommand {
    /// Exit codes, as qemu-img has them.
    private enum Outcome {
        static let corrupt: Int32 = 2, leaks: Int32 = 3, noCheck: Int32 = 63
    }

    static let check: DiskVerb = DiskVerb(
        name: "check", summary: "Looks for damage in an image: exit code 2 for damage, 3 for lost space only.", operands: "FILE",
        options: [
            DiskArguments.format, DiskArguments.output, DiskArguments.quiet, DiskArguments.force,
            Option(["r"], "leaks|all", help: "mend lost space, or everything that can be (make a copy first)") { arguments, use throws(CommandEnd) in
                guard let repair = Qcow2Check.Repair(rawValue: use.value) else { throw use.failed("'\(use.value)' is not one of leaks, all") }
                arguments.repair = repair
            },
        ]
    ) { arguments in
        let path = try check.operands(arguments, 1...1)[0]
        let file = try HostFile.openImage(path, ImageAccess(isReadOnly: arguments.repair == nil, isLocked: !arguments.isForced))
        let format = if let given = arguments.format { given } else { try DiskImages.probe(file) }
        guard format == .qcow2 else {
            HostStartup.printError("disk check: a raw image has nothing that could be checked")
            return Outcome.noCheck
        }
        var check = try Qcow2Check(file)
        let report = if let repair = arguments.repair { try check.repair(repair) } else { try check.run() }
        _ = print(arguments.isJSON ? json(report, path).text() + "\n" : text(report), arguments)
        return report.errors > 0 ? 1 : report.corruptions > 0 ? Outcome.corrupt : report.leaks > 0 ? Outcome.leaks : 0
    }

    private static func text(_ report: Qcow2Check.Report) -> String {
        var lines = report.messages
        if report.corruptionsFixed + report.leaksFixed > 0 {
            lines += ["The following inconsistencies were found and repaired:", "", "    \(report.leaksFixed) leaked clusters", "    \(report.corruptionsFixed) corruptions", ""]
        }
        if report.corruptions + report.leaks + report.errors == 0 {
            lines.append("No errors were found on the image.")
        } else {
            if report.corruptions > 0 {
                lines += ["", "\(report.corruptions) errors were found on the image.", "Data may be corrupted, or further writes to the image may corrupt it."]
            }
            if report.leaks > 0 {
                lines += ["", "\(report.leaks) leaked clusters were found on the image.", "This means waste of disk space, but no harm to data."]
            }
            if report.errors > 0 { lines += ["", "\(report.errors) internal errors have occurred during the check."] }
        }
        if report.totalClusters > 0, report.allocatedClusters > 0 {
            func share(_ part: UInt64, _ whole: UInt64) -> String { DiskText.fixed(Double(part) * 100 / Double(whole), 2) + "%" }
            lines.append(
                "\(report.allocatedClusters)/\(report.totalClusters) = \(share(report.allocatedClusters, report.totalClusters)) allocated, "
                    + "\(share(report.fragmentedClusters, report.allocatedClusters)) fragmented, \(share(report.compressedClusters, report.allocatedClusters)) compressed clusters")
        }
        lines.append("Image end offset: \(report.endOffset)")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func json(_ report: Qcow2Check.Report, _ path: String) -> DiskJSON {
        var members: [(String, DiskJSON)] = [("image-end-offset", .number(report.endOffset)), ("total-clusters", .number(report.totalClusters)), ("check-errors", .number(report.errors))]
        // Left out when zero, as everywhere in this output.
        for (name, value) in [
            ("corruptions", UInt64(report.corruptions)), ("leaks", UInt64(report.leaks)), ("corruptions-fixed", UInt64(report.corruptionsFixed)),
            ("leaks-fixed", UInt64(report.leaksFixed)), ("allocated-clusters", report.allocatedClusters), ("fragmented-clusters", report.fragmentedClusters),
            ("compressed-clusters", report.compressedClusters),
        ] where value > 0 { members.append((name, .number(value))) }
        return .object(members + [("filename", .text(path)), ("format", .text("qcow2"))])
    }
}
