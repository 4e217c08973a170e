//! SQLite's C interface to files, and nothing else: what a call means is decided in [`super::handle`].
#![allow(unsafe_code, reason = "SQLite's interface to files is C")]

use super::handle::{self, Handle, Wanted};
use super::lock::Level;
use super::state::Result;
use rusqlite::ffi;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{Ordering, fence};

/// What SQLite calls this VFS.
const NAME: &CStr = c"heph-sim";
/// The longest path, with the zero behind it.
const PATH_BYTES: c_int = 1024;
/// What SQLite is told about sectors and tearing: what its VFS for Unix says, so that it takes the paths that it takes
/// on a real machine. `POWERSAFE_OVERWRITE` holds here: a write that is torn leaves the bytes beside it alone.
const DEVICE: c_int = ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ;
/// The unit that SQLite pads journals to, as its VFS for Unix says. That a power loss tears writes in smaller units is
/// no contradiction: a larger one is the careful assumption.
const SECTOR: c_int = 4096;
/// The time, a Julian day in milliseconds: noon on 2024-01-01.
const NOW: i64 = 212_570_870_400_000;

/// A file as SQLite has it: it allocates this, and [`open`] fills it.
#[repr(C)]
struct Slot {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Makes this VFS the process's default, once.
pub fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let vfs = Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: size_of::<Slot>() as c_int,
            mxPathname: PATH_BYTES,
            pNext: ptr::null_mut(),
            zName: NAME.as_ptr(),
            pAppData: ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: None,
            xGetLastError: None,
            xCurrentTimeInt64: Some(current_time),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        });
        // SAFETY: the structure is never freed, and each of its functions does what SQLite asks of it.
        let result = unsafe { ffi::sqlite3_vfs_register(Box::leak(vfs), 1) };
        assert_eq!(result, ffi::SQLITE_OK, "SQLite takes the simulated disk");
    });
}

/// SQLite's own randomness, which goes into the salts of its logs, starts anew, the same each time. It is one for the
/// process: runs that are to be the same to the byte must not run beside others, and none may begin while a file is open
/// that saw the same start, since salts must not repeat in one file.
pub fn reset_randomness() {
    // SAFETY: with no buffer SQLite only forgets its state.
    unsafe { ffi::sqlite3_randomness(0, ptr::null_mut()) }
}

fn code(result: Result) -> c_int {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

/// # Safety
/// `path` is a string of C that lives as long as the result.
unsafe fn to_path<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: the caller's promise.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()))
}

/// # Safety
/// `file` is a file that [`open`] opened and nobody closed, and no other thread uses it now: SQLite's contract.
unsafe fn to_handle<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Handle {
    // SAFETY: then its slot holds a handle from `Box::into_raw`.
    unsafe { &mut *(*file.cast::<Slot>()).handle }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let has = |flag| flags & flag != 0;
    let wanted = Wanted {
        database: has(ffi::SQLITE_OPEN_MAIN_DB),
        read_only: has(ffi::SQLITE_OPEN_READONLY),
        make: has(ffi::SQLITE_OPEN_CREATE),
        alone: has(ffi::SQLITE_OPEN_EXCLUSIVE),
    };
    let opened = if path.is_null() {
        Handle::nameless()
    } else {
        // SAFETY: SQLite passes a path or nothing.
        Handle::open(unsafe { to_path(path) }, wanted)
    };
    let (methods, handle, result) = match opened {
        Ok(handle) => (&raw const METHODS, Box::into_raw(Box::new(handle)), ffi::SQLITE_OK),
        // Without methods SQLite does not close it.
        Err(code) => (ptr::null(), ptr::null_mut(), code),
    };
    // SAFETY: SQLite allocated `szOsFile` bytes for the slot, and `out_flags` is its or null.
    unsafe {
        file.cast::<Slot>().write(Slot { base: ffi::sqlite3_file { pMethods: methods }, handle });
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    result
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let slot = file.cast::<Slot>();
    // SAFETY: an open file's handle is from `Box::into_raw`, and SQLite closes it once.
    unsafe {
        drop(Box::from_raw((*slot).handle));
        slot.write(Slot { base: ffi::sqlite3_file { pMethods: ptr::null() }, handle: ptr::null_mut() });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: the file is open, and `into` is a buffer of so many bytes, which is filled before Rust looks at it.
    let (handle, into) = unsafe {
        ptr::write_bytes(into.cast::<u8>(), 0, bytes as usize);
        (to_handle(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), bytes as usize))
    };
    code(handle.read(at as usize, into))
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: the file is open, and `from` are so many bytes.
    let (handle, from) = unsafe { (to_handle(file), std::slice::from_raw_parts(from.cast::<u8>(), bytes as usize)) };
    code(handle.write(at as usize, from))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { to_handle(file) }.truncate(size as usize))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { to_handle(file) }.sync())
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is open, and `out` is SQLite's.
    let (handle, out) = unsafe { (to_handle(file), &mut *out) };
    code(handle.size().map(|size| *out = size as i64))
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { to_handle(file) };
    code(Level::from_number(level).map_or(Ok(()), |level| handle.lock(level)))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { to_handle(file) }.unlock(Level::from_number(level)))
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and `out` is SQLite's.
    let (handle, out) = unsafe { (to_handle(file), &mut *out) };
    code(handle.is_reserved().map(|reserved| *out = c_int::from(reserved)))
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _op: c_int, _arg: *mut c_void) -> c_int {
    // All of these are hints and questions that a VFS need not know.
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR
}

unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    DEVICE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    bytes: c_int,
    make: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the file is open, and `out` is SQLite's.
    let (handle, out) = unsafe { (to_handle(file), &mut *out) };
    let mapped = handle.map(index as usize, bytes as usize, make != 0);
    // The address of the first atomic is that of the region, and atomics may be written to through a shared borrow.
    let address = |region: &super::shared_memory::Region| region.first().map(|first| first.as_ptr().cast::<c_void>());
    code(mapped.map(|region| *out = region.and_then(address).unwrap_or(ptr::null_mut())))
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { to_handle(file) };
    let slots = ((1 << count) - 1) << first;
    code(if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        handle.unlock_slots(slots)
    } else {
        handle.lock_slots(slots, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0)
    })
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: the file is open, and SQLite uses no region of it any more.
    unsafe { to_handle(file) }.unmap();
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, path: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite passes a path.
    code(handle::delete(unsafe { to_path(path) }, sync_folder != 0))
}

unsafe extern "C" fn access(_: *mut ffi::sqlite3_vfs, path: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite passes a path, and `out` is its own.
    let (path, out) = unsafe { (to_path(path), &mut *out) };
    // To exist an empty file does not count, as in SQLite's VFS for Unix.
    let counts = |size: u64| size > 0 || flags != ffi::SQLITE_ACCESS_EXISTS;
    code(handle::size(path).map(|size| *out = c_int::from(size.is_some_and(counts))))
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes a path.
    let full: PathBuf = std::path::absolute(unsafe { to_path(path) }).unwrap_or_default();
    let full = full.as_os_str().as_bytes();
    if full.is_empty() || full.len() >= room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: there is room for the path and the zero behind it, as was just looked at.
    unsafe {
        ptr::copy_nonoverlapping(full.as_ptr(), out.cast::<u8>(), full.len());
        *out.add(full.len()) = 0;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, bytes: c_int, out: *mut c_char) -> c_int {
    let mut random = vec![0; bytes as usize];
    fastrand::Rng::with_seed(0).fill(&mut random);
    // SAFETY: SQLite has room for so many bytes.
    unsafe { ptr::copy_nonoverlapping(random.as_ptr(), out.cast::<u8>(), random.len()) };
    bytes
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    // Whoever has what is waited for may be on another thread; nothing else takes time.
    std::thread::yield_now();
    microseconds
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: it is SQLite's.
    unsafe { *out = NOW };
    ffi::SQLITE_OK
}
