import EmuMachine
import Foundation
import Testing

/// What the real-time clock shows, and what moves it.
@Suite struct GuestClockTests {
    private func machine(_ change: (inout MachineConfig) -> Void) throws -> Machine {
        var config = MachineConfig()
        config.firmware = .none
        change(&config)
        return try Machine(config)
    }

    /// Nanoseconds since 1970 as the guest reads them.
    private func time(_ machine: Machine) -> UInt64 {
        let low = machine.bus.readDevice(0x10_1000, size: 4) ?? 0, high = machine.bus.readDevice(0x10_1004, size: 4) ?? 0
        return high << 32 | low
    }

    private static let date: UInt64 = 1_785_585_600, second: UInt64 = 1_000_000_000

    @Test(arguments: RTCClock.allCases) func theClockStartsAtItsBase(source: RTCClock) throws {
        let machine = try machine {
            $0.rtc = .date(Self.date)
            $0.rtcClock = source
        }
        #expect((Self.date * Self.second..<(Self.date + 3600) * Self.second).contains(time(machine)))
    }

    @Test(arguments: RTCClock.allCases) func onlyGuestTimeStandsStillWithTheGuest(source: RTCClock) throws {
        let machine = try machine { $0.rtcClock = source }
        machine.events.isHeld = true
        let before = time(machine)
        usleep(1000)
        #expect((time(machine) == before) == (source == .guest))
    }

    @Test func withTheVirtualClockTheDateIsFixedUnlessTheHostsIsAskedFor() throws {
        let fixed = try machine { $0.clock = .virtual }
        #expect(time(fixed) == 1_735_689_600 * Self.second)
        let hosts = try machine {
            $0.clock = .virtual
            $0.rtcClock = .host
        }
        #expect(abs(Date().timeIntervalSince1970 - Double(time(hosts)) / 1e9) < 3600)
        let dated = try machine {
            $0.clock = .virtual
            $0.rtc = .date(Self.date)
        }
        #expect(time(dated) == Self.date * Self.second)
    }

    @Test func localTimeIsTheHostsZone() throws {
        let difference = time(try machine { $0.rtc = .localtime }) &- time(try machine { $0.rtc = .utc })
        let offset = Int64(TimeZone.current.secondsFromGMT()) * Int64(Self.second)
        #expect(abs(Int64(bitPattern: difference) - offset) < 3600 * Int64(Self.second))
    }
}
