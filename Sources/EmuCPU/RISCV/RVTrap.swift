extension RVProcessor {
    func supervisorTimerDue() {}
    func reset() {}
}
