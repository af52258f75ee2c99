//! Threads that give way to all others.

/// Lets the other threads go before this one, which keeps a small share. Linux takes the processor from an idle thread at
/// once; from one of least niceness only after its slice of some milliseconds. Elsewhere the thread stays as it is.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // Where the system refuses, the work is done all the same.
        let _ = thread_priority::set_thread_priority_and_policy(
            thread_priority::thread_native_id(),
            thread_priority::ThreadPriority::Min,
            thread_priority::ThreadSchedulePolicy::Normal(thread_priority::NormalThreadSchedulePolicy::Idle),
        );
        // The slice that the thread began with is still an ordinary one.
        std::thread::yield_now();
    }
}
