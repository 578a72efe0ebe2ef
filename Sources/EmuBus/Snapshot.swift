import Foundation

/// Something whose guest-visible state is one value. Wiring (lines, buses, descriptors) stays outside the state.
///
/// Pending events are not part of it: a device schedules them again from its state when it is restored.
public protocol Saveable: AnyObject {
    associatedtype State: Codable
    /// Key of this part inside a snapshot, unique in its machine ("uart0", "hart1").
    var stateName: String { get }
    /// Reading takes a copy; assigning makes the part behave exactly as when the copy was taken.
    var state: State { get set }
}

extension Saveable {
    /// The state as canonical bytes: equal states give equal bytes.
    public func encodedState() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return try encoder.encode(state)
    }

    /// Replaces the state by a value `encodedState` produced.
    public func restoreState(from data: Data) throws {
        state = try JSONDecoder().decode(State.self, from: data)
    }
}
