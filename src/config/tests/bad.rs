//! x
#[test]
fn show() {
    for text in [
        "",
        "[server\nlisten=",
        "a = \nb = 'x\n[x]\nc=1\nc=2",
        "[[routes]]\npath=1\n[routes.share]\nmode=2\n[routes.client]\nhartbeat_secs=1\n[server]\nheartbeat_secs=2\n",
    ] {
        eprintln!("---\n{}", super::parse(text).unwrap_err());
    }
}
