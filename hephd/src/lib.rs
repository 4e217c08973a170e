//! heph's daemon as a library: what the program [`hephd`](index.html) and the simulator stand on. [`run`] starts and
//! stops it in order; [`hub`] and [`spoke`] are its two kinds; what of the world they touch is given to them: the clock
//! and chance ([`heph_store::env::Env`]), the network ([`spoke::Wire`]), the threads that block ([`work`]).

pub mod config;
pub mod hub;
pub mod limits;
pub mod run;
pub mod spoke;
pub mod sync;
pub mod work;
pub mod writer;

mod deep_check;
mod http;
mod lock;
mod observe;
mod places;
mod socket;
