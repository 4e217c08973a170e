//! A meter on the wire: forwards connections to a hub and counts what goes through.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
pub struct Meter {
    address: String,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    /// A meter before the hub at `address`.
    pub fn before(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let (hub, bytes) = (address.to_owned(), Arc::new(AtomicU64::new(0)));
        let counted = bytes.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&hub) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let counted = counted.clone();
                    std::thread::spawn(move || forward(from, to, &counted));
                }
            }
        });
        Self { address: own, bytes }
    }

    /// The hub's address by way of the meter.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many bytes went through, both ways together.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
        counted.fetch_add(read as u64, Ordering::Relaxed);
    }
    // The other side learns that this one has ended; if it is gone already, there is nobody left to tell.
    drop(to.shutdown(Shutdown::Write));
}
