//! How the allocator of the process is set.

use crate::gateway::Gateway;

#[tokio::test]
async fn freed_memory_is_returned_within_a_second_also_by_an_idle_process() {
    let (code, said) = Gateway::run_with(&["--version"], &[("_RJEM_MALLOC_CONF", "stats_print:true")]).await;
    assert_eq!(code, 0, "{said}");
    for setting in ["opt.background_thread: true (background_thread: true)", "opt.dirty_decay_ms: 1000 "] {
        assert!(said.contains(setting), "{setting}: {said}");
    }
}
