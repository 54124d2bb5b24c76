//! The setup widget in headless Chromium: the program's own router serves the page, a person's keys drive it, and axe-core and the
//! tree for screen readers judge what they see.
//!
//! `tests/e2e/widget` has the stories (`stories.py`), the browser's driver and the models of the API and of the Matrix client.
//! They need Chromium and axe-core's script, which `scripts/test` installs; without them this fails and says so.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::part;

/// All stories take a minute of one processor.
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn the_widget_in_a_browser() {
    let files = serve().await;
    tell(&["--files", &format!("http://{files}")]).await;
}

/// The page's files alone, from the router that the bridge mounts.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(axum::serve(listener, bunraku::web::widget::router()).into_future());
    address
}

/// Runs `stories.py` to its end; what it printed is shown where a story failed.
async fn tell(arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/widget/stories.py");
    let axe = part("BUNRAKU_AXE");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg("--axe").arg(axe).args(arguments);
    if let Some(folder) = std::env::var_os("BUNRAKU_PICTURES") {
        command.arg("--pictures").arg(folder);
    }
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let done = timeout(LIMIT, running).await.expect("the stories end in time").expect("python3 runs");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(told.contains(" stories hold"), "stories were told: {told}");
}
