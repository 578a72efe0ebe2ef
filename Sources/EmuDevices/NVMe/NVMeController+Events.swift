import EmuBus

/// Something the controller tells the driver without being asked (NVM Express Base 1.4, 5.2).
struct NVMeEvent: Codable, Equatable {
    var type: UInt8
    var information: UInt8
    /// Log page that tells more; reading it lets events of this type through again.
    var logPage: UInt8

    static let invalidDoorbellRegister = NVMeEvent(type: 0, information: 0, logPage: 1)
    static let invalidDoorbellValue = NVMeEvent(type: 0, information: 1, logPage: 1)
    static let temperature = NVMeEvent(type: 1, information: 1, logPage: 2)
    static let all = [invalidDoorbellRegister, invalidDoorbellValue, temperature]

    /// Its type's bit in a set of types.
    var typeBit: UInt8 { 1 << type }
}

struct NVMeEvents: Codable, Equatable {
    /// Events nobody has asked for yet, each kind once.
    var waiting: [NVMeEvent] = []
    /// Requests of the driver that wait for an event.
    var requests: [NVMeRequest] = []
    /// Types that were reported and whose log page was not read: bit n is type n.
    var masked: UInt8 = 0

    /// The same, fit for use: a saved state may come from a damaged file.
    var repaired: NVMeEvents {
        var result = NVMeEvents(masked: masked)
        result.waiting = NVMeEvent.all.filter(waiting.contains)
        for request in requests where request.queue == 0 && !result.requests.contains(request) && result.requests.count < NVMeController.eventRequestLimit {
            result.requests.append(request)
        }
        return result
    }
}

extension NVMeController {
    /// Requests that may wait at a time.
    static let eventRequestLimit = 4
    /// Event configuration: critical warnings about the temperature are wanted.
    private static let temperatureWarning: UInt32 = 1 << 1

    func requestEvent(_ request: NVMeRequest) throws(NVMeStatus) {
        guard eventState.requests.count < Self.eventRequestLimit else { throw .tooManyEventRequests }
        eventState.requests.append(request)
        park(request)
        sendEvents()
    }

    /// Tells the driver, now or when it asks.
    func report(_ event: NVMeEvent) {
        if event == .temperature, features.eventConfiguration & Self.temperatureWarning == 0 { return }
        if !eventState.waiting.contains(event) { eventState.waiting.append(event) }
        sendEvents()
    }

    /// Completes requests with what is waiting, as far as both are there and the queue has room.
    func sendEvents() {
        while isRunning, !eventState.requests.isEmpty, hasRoom(0), let index = eventState.waiting.firstIndex(where: { eventState.masked & $0.typeBit == 0 }) {
            let event = eventState.waiting.remove(at: index)
            eventState.masked |= event.typeBit
            let result = UInt32(event.type) | UInt32(event.information) << 8 | UInt32(event.logPage) << 16
            completeParked(eventState.requests.removeFirst(), result: result)
        }
    }

    /// The driver has read a log page.
    func unmaskEvents(_ logPage: UInt8) {
        for event in NVMeEvent.all where event.logPage == logPage { eventState.masked &= ~event.typeBit }
        sendEvents()
    }
}
