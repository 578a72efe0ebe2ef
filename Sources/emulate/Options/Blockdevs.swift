import EmuBus
import EmuDevices
import EmuMachine
import Foundation

/// `-blockdev`: a graph of named nodes, each a file or a format over one. What no other node uses becomes a drive for `-device …,drive=`.
struct BlockdevNode {
    let use: OptionUse
    let driver: String
    let name: String
    let list: PropertyList
    /// Nodes written inside this one (`file.filename=`), by the property.
    let children: [String: BlockdevNode]

    static let drivers = ["file", "host_device", "raw", "qcow2"]

    private static let common = [
        Property("driver", .choice(drivers), "what the node is"),
        Property("node-name", .text, "name for other nodes and -device …,drive="),
        Property("read-only", .bool, "nobody can write (default: off)"),
        Property("auto-read-only", .bool, "accepted: nodes are opened as what uses them needs"),
        Property("discard", .choice(["ignore", "off", "unmap", "on"]), "unmap: discards reach the node below (default: ignore)"),
        Property("detect-zeroes", .choice(["off", "on", "unmap"]), "turn writes of zeroes into zero clusters (default: off)"),
        Property("cache.direct", .bool, "go past the host's page cache (default: off)"),
        Property("cache.no-flush", .bool, "ignore flushes (default: off)"),
        Property("force-share", .bool, "other programs may write the file; needs read-only (default: off)"),
    ]

    /// Properties of a node of one driver.
    static func properties(_ driver: String) -> [Property] {
        switch driver {
        case "file", "host_device":
            common + [
                Property("filename", .text, "the file or block device"), Property("locking", .choice(["auto", "on", "off"]), "lock it (default: auto, which is on)"),
                Property("aio", .choice(["threads"]), "how the host does it (default: threads)"),
            ]
        case "qcow2":
            common + [
                Property("file", .text, "name of the node below, or file.driver=, file.filename= and so on"),
                Property("backing", .text, "name of the node shown where the image has nothing; empty or null for none (default: what the image names)"),
                Property("lazy-refcounts", .bool, "put off reference counts until the end (default: as the image says)"),
            ]
        default: common + [Property("file", .text, "name of the node below, or file.driver=, file.filename= and so on")]
        }
    }

    /// Reads one `-blockdev`, as `driver=…,name=…` or as a JSON object.
    static func parse(_ use: OptionUse) throws(CommandEnd) -> BlockdevNode {
        var elements: [String]
        if use.value.hasPrefix("{") {
            guard let object = (try? JSONSerialization.jsonObject(with: Data(use.value.utf8))) as? [String: Any] else {
                throw use.failed("it is not a JSON object")
            }
            elements = try flatten(object, "", use)
        } else {
            elements = PropertyList.split(use.value)
            if let first = elements.first, !first.contains("=") { elements[0] = "driver=" + first }
        }
        return try BlockdevNode(elements, use, isChild: false)
    }

    private static func flatten(_ object: [String: Any], _ prefix: String, _ use: OptionUse) throws(CommandEnd) -> [String] {
        var result: [String] = []
        for (name, value) in object.sorted(by: { $0.key < $1.key }) {
            switch value {
            case let inner as [String: Any]: result += try flatten(inner, prefix + name + ".", use)
            case let text as String: result.append("\(prefix)\(name)=\(text)")
            case is NSNull: result.append("\(prefix)\(name)=null")
            case let flag as Bool: result.append("\(prefix)\(name)=\(flag ? "on" : "off")")
            case let number as NSNumber: result.append("\(prefix)\(name)=\(number.stringValue)")
            default: throw use.failed("\(prefix)\(name): a list is not possible here")
            }
        }
        return result
    }

    private init(_ elements: [String], _ use: OptionUse, isChild: Bool) throws(CommandEnd) {
        self.use = use
        let driver = elements.first { $0.hasPrefix("driver=") }?.dropFirst("driver=".count).description
        guard let driver, !driver.isEmpty else { throw use.failed("needs driver=, one of " + Self.drivers.joined(separator: ", ")) }
        guard Self.drivers.contains(driver) else {
            throw use.failed("unknown driver '\(driver)'" + didYouMean(driver, among: Self.drivers) + "; there are " + Self.drivers.joined(separator: ", "))
        }
        self.driver = driver
        // What belongs to a node written inside this one.
        var own: [String] = [], inner: [String: [String]] = [:]
        for element in elements {
            if let property = ["file", "backing"].first(where: { element.hasPrefix($0 + ".") }) {
                inner[property, default: []].append(String(element.dropFirst(property.count + 1)))
            } else {
                own.append(element)
            }
        }
        list = try PropertyList(elements: own, use, Self.properties(driver), of: "-blockdev \(driver)")
        name = list["node-name"] ?? ""
        guard isChild || !name.isEmpty else { throw use.failed("needs a node-name, or nothing can use it") }
        var children: [String: BlockdevNode] = [:]
        for (property, elements) in inner { children[property] = try BlockdevNode(elements, use, isChild: true) }
        self.children = children
        if driver == "file" || driver == "host_device" {
            guard let path = list["filename"], !path.isEmpty else { throw use.failed("\(driver) needs filename=PATH") }
        } else if list["file"] == nil, children["file"] == nil {
            throw use.failed("\(driver) needs file=NODE, or file.driver=file,file.filename=PATH")
        }
    }

    // MARK: The graph

    /// A drive for every node that no other uses.
    static func drives(_ nodes: [BlockdevNode]) throws(CommandEnd) -> [DriveConfig] {
        var used: Set<String> = []
        for (index, node) in nodes.enumerated() {
            guard !nodes[..<index].contains(where: { $0.name == node.name }) else { throw node.use.failed("node-name=\(node.name) is already taken by another node") }
            for name in node.references {
                guard nodes.contains(where: { $0.name == name }) else { throw node.use.failed("there is no -blockdev with node-name=\(name)") }
                guard used.insert(name).inserted else { throw node.use.failed("node \(name) is used by another node already") }
            }
        }
        var drives: [DriveConfig] = []
        for node in nodes where !used.contains(node.name) {
            var drive = try node.drive(nodes, depth: 0)
            drive.id = node.name
            drive.interface = .none
            drives.append(drive)
        }
        // A ring of nodes is used by itself alone.
        if drives.isEmpty, let first = nodes.first { throw first.use.failed("nodes refer to each other in a ring") }
        return drives
    }

    /// Names this node and those inside it refer to.
    private var references: [String] {
        ["file", "backing"].compactMap { children[$0] == nil ? list[$0] : nil }.filter { !$0.isEmpty && $0 != "null" } + children.values.flatMap(\.references)
    }

    private func child(_ property: String, _ nodes: [BlockdevNode]) -> BlockdevNode? {
        children[property] ?? list[property].flatMap { name in nodes.first { $0.name == name } }
    }

    private func drive(_ nodes: [BlockdevNode], depth: Int) throws(CommandEnd) -> DriveConfig {
        guard depth < 32 else { throw use.failed("nodes refer to each other in a ring") }
        var drive: DriveConfig
        if driver == "file" || driver == "host_device" {
            drive = DriveConfig(file: list["filename"] ?? "")
            drive.format = .raw
            drive.isLocked = list["locking"] != "off"
        } else {
            guard let below = child("file", nodes) else { throw use.failed("\(driver) needs a file") }
            guard ["file", "host_device", "raw"].contains(below.driver) else { throw use.failed("file=\(below.name): a format needs a file below it, not another format") }
            drive = try below.drive(nodes, depth: depth + 1)
            // The node below only has to let through what this one wants.
            drive.settings.zeroDetection = .off
            if driver == "qcow2" { drive.format = .qcow2 }
        }
        if ["", "null"].contains(list["backing"] ?? "-") {
            drive.backing = .none
        } else if let below = child("backing", nodes) {
            drive.backing = .drive(try below.drive(nodes, depth: depth + 1))
        }
        try DriveOptions.apply(list, to: &drive, use)
        if list.bool("force-share") ?? false {
            guard drive.isReadOnly else { throw use.failed("force-share=on needs read-only=on") }
            drive.isLocked = false
        }
        return drive
    }
}
