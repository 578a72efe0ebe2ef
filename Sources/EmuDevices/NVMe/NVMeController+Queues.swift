import EmuBus

/// Doorbells, the taking of commands, the posting of completions, interrupts (NVM Express Base 1.4, 4.1, 7.2 and 7.5).
extension NVMeController {
    // MARK: Doorbells

    /// - Parameter offset: from the first doorbell. They alternate: submission tail, completion head.
    func writeDoorbell(_ offset: UInt64, _ value: UInt32) {
        let index = Int(offset / 8)
        let isCompletion = offset % 8 != 0
        guard registers.status & (Status.ready | Status.fatal) == Status.ready else {
            Log.write(.guestErrors, "\(stateName): doorbell written while the controller is not ready")
            return
        }
        guard index < submissionQueues.count, isCompletion ? completionQueues[index] != nil : submissionQueues[index] != nil else {
            Log.write(.guestErrors, "\(stateName): doorbell of \(isCompletion ? "completion" : "submission") queue \(index), which does not exist")
            return report(.invalidDoorbellRegister)
        }
        if isCompletion { writeHead(index, value) } else { writeTail(index, value) }
    }

    private func writeTail(_ index: Int, _ value: UInt32) {
        guard let queue = submissionQueues[index], value < queue.size else {
            Log.write(.guestErrors, "\(stateName): tail \(value) of submission queue \(index) is outside of it")
            return report(.invalidDoorbellValue)
        }
        submissionQueues[index]?.tail = value
        rounds.serve([index])
    }

    private func writeHead(_ index: Int, _ value: UInt32) {
        guard let queue = completionQueues[index], value < queue.size, (value >= queue.head ? value - queue.head : value + (queue.size - queue.head)) <= queue.used else {
            Log.write(.guestErrors, "\(stateName): head \(value) of completion queue \(index) is not one of its entries")
            return report(.invalidDoorbellValue)
        }
        completionQueues[index]?.head = value
        updatePin()
        // Commands that waited for room.
        if index == 0 { sendEvents() }
        rounds.serve(submissionQueues.indices.filter { submissionQueues[$0]?.completionQueue == index })
    }

    // MARK: Commands

    /// Carries out the commands of a queue, as long as their completions have room.
    func serve(queue index: Int) {
        while isRunning, let queue = submissionQueues[index], queue.head != queue.tail, hasRoom(queue.completionQueue) {
            guard !rounds.isOver else { return rounds.postpone(index) }
            guard let command = NVMeCommand(memory, queue.base &+ UInt64(queue.head) &* NVMeSubmissionQueue.entrySize) else {
                return fail("submission queue \(index) at \(hex(queue.base)) is not memory")
            }
            submissionQueues[index]?.head = queue.head + 1 == queue.size ? 0 : queue.head + 1
            begin(command, index, queue.completionQueue)
        }
    }

    /// Everything taken from the queues so far can be completed, and one more.
    func hasRoom(_ completionQueue: Int) -> Bool {
        guard let queue = completionQueues[completionQueue] else { return false }
        return Int(queue.used) + outstanding[completionQueue] < Int(queue.size) - 1
    }

    static func key(_ request: NVMeRequest) -> UInt64 { UInt64(request.queue) << 16 | UInt64(request.id) }

    private func begin(_ command: NVMeCommand, _ index: Int, _ completionQueue: Int) {
        let request = NVMeRequest(queue: index, id: command.id)
        outstanding[completionQueue] += 1
        rounds.spend(1024)
        // Two commands of one name could not be told apart; the first keeps it.
        guard inFlight.insert(Self.key(request)).inserted else { return post(request, .commandIDConflict) }
        do throws(NVMeStatus) {
            // Neither fused operations nor scatter-gather lists are offered.
            guard command.flags == 0 else { throw .invalidField }
            if index == 0 { try beginAdmin(command, request) } else { try beginIO(command, request) }
        } catch {
            complete(request, error)
        }
    }

    // MARK: Completions

    /// Ends a request. `result` is dword 0 of the completion.
    func complete(_ request: NVMeRequest, _ status: NVMeStatus = .success, result: UInt32 = 0) {
        inFlight.remove(Self.key(request))
        if status != .success { statistics.note(request, status) }
        post(request, status, result: result)
    }

    private func post(_ request: NVMeRequest, _ status: NVMeStatus, result: UInt32 = 0) {
        guard let submission = submissionQueues[request.queue] else { return }
        outstanding[submission.completionQueue] -= 1
        // What ends while the controller may not reach memory is lost to the driver.
        if isRunning { send(request, status, result, submission) }
    }

    /// Takes a request out of those that need room for their completion: it waits for an event.
    func park(_ request: NVMeRequest) {
        guard let queue = submissionQueues[request.queue]?.completionQueue else { return }
        outstanding[queue] -= 1
    }

    /// Completes a parked request; there is room.
    func completeParked(_ request: NVMeRequest, _ status: NVMeStatus = .success, result: UInt32 = 0) {
        inFlight.remove(Self.key(request))
        if let submission = submissionQueues[request.queue] { send(request, status, result, submission) }
    }

    private func send(_ request: NVMeRequest, _ status: NVMeStatus, _ result: UInt32, _ submission: NVMeSubmissionQueue) {
        let index = submission.completionQueue
        guard var queue = completionQueues[index] else { return }
        let code = status == .success ? 0 : status.value | NVMeStatus.doNotRetry
        let words = [
            result, 0, submission.head | UInt32(request.queue) << 16, UInt32(request.id) | (UInt32(code) << 1 | (queue.phase ? 1 : 0)) << 16,
        ]
        let address = queue.base &+ UInt64(queue.tail) &* NVMeCompletionQueue.entrySize
        // The word with the phase comes last: a driver on another hart looks at it while this is written.
        guard words.dropLast().map(\.littleEndian).withUnsafeBytes({ memory.write(address, from: $0) }), memory.store(address &+ 12, words[3]) else {
            return fail("completion queue \(index) at \(hex(queue.base)) is not writable memory")
        }
        queue.tail += 1
        if queue.tail == queue.size {
            queue.tail = 0
            queue.phase.toggle()
        }
        completionQueues[index] = queue
        requestsServed &+= 1
        if queue.interrupts { function.msix?.notify(Int(queue.vector)) }
        updatePin()
    }

    // MARK: Interrupts

    /// The pin is up while a completion queue holds entries, unless its vector is masked.
    func updatePin() {
        function.setInterrupt(
            registers.status & Status.ready != 0
                && completionQueues.contains { queue in
                    guard let queue, queue.interrupts, queue.head != queue.tail else { return false }
                    return queue.vector >= 32 || registers.interruptMask & 1 << UInt32(queue.vector) == 0
                })
    }
}
