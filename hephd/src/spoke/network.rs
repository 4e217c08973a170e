//! "The network is back": waits until an address of this machine changes, as the kernel says it. Where it cannot be
//! asked, nothing is lost but time: the hub is tried again by the clock anyway.

use tokio::sync::watch;

/// Counts changes until nobody is told any more, or the kernel tells no more.
pub async fn watch(changes: watch::Sender<u64>) {
    let Err(error) = count(&changes).await else { return };
    tracing::debug!(%error, "the kernel does not tell of network changes");
}

#[cfg(target_os = "linux")]
async fn count(changes: &watch::Sender<u64>) -> std::io::Result<()> {
    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    use std::os::unix::net::UnixDatagram as StdDatagram;
    use tokio::net::UnixDatagram;

    /// IPv4 and IPv6 addresses (`RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`).
    const GROUPS: u32 = 0x10 | 0x100;
    /// Changes come in bursts; after the first one, this much time is given to the rest.
    const BURST: std::time::Duration = std::time::Duration::from_secs(1);

    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    // A routing socket is a datagram socket like any other as far as waiting and receiving go.
    let socket = UnixDatagram::from_std(StdDatagram::from(socket))?;
    let mut message = [0; 8_192];
    while !changes.is_closed() {
        socket.readable().await?;
        tokio::time::sleep(BURST).await;
        // What the messages say does not matter, nor does it if there were too many to be kept.
        loop {
            match socket.try_recv(&mut message) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        changes.send_modify(|changes| *changes += 1);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
async fn count(_changes: &watch::Sender<u64>) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
