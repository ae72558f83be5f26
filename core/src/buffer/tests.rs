use super::*;

#[test]
fn budget_is_never_exceeded_and_memory_comes_home() {
    let pool = Pool::new(64 << 10);
    let held: Vec<Buffer> = (0..4).map(|_| pool.take(16 << 10).unwrap()).collect();
    assert_eq!(pool.take(1).err().unwrap().used_bytes, 64 << 10);
    drop(held);
    // The free lists hold the 16 KiB blocks; a different class must evict them rather than fail.
    let other = pool.take(64 << 10).unwrap();
    assert_eq!(other.len(), 64 << 10);
    drop(other);
    pool.trim();
    assert_eq!(pool.used_bytes(), 0);
}

#[test]
fn sparing_work_leaves_an_eighth() {
    let pool = Pool::new(64 << 10);
    let held: Vec<Buffer> = std::iter::from_fn(|| pool.take_sparing(4096).ok()).collect();
    assert_eq!(held.len(), 14);
    assert!(pool.take(8 << 10).is_ok());
    drop(held);
    assert!(pool.take_sparing(32 << 10).is_ok(), "free lists count as free");
}

#[test]
fn slices_outlive_the_writer_and_cross_threads() {
    let pool = Pool::new(1 << 20);
    let mut tail = AppendBuffer::new(pool.take(4096).unwrap());
    tail.append_with(5, |room| room.copy_from_slice(b"first"));
    let first = tail.slice(0..5);
    tail.append_with(6, |room| room.copy_from_slice(b"second"));
    let both = tail.slice(..);
    drop(tail);
    let joined = std::thread::spawn(move || (first.to_vec(), both.slice(5..).to_vec()))
        .join()
        .unwrap();
    assert_eq!(joined, (b"first".to_vec(), b"second".to_vec()));
    pool.trim();
    assert_eq!(pool.used_bytes(), 0);
}

#[test]
fn buffers_are_aligned() {
    let pool = Pool::new(8 << 20);
    for len in [1, 4096, 4097, 100_000, 3 << 20] {
        let buffer = pool.take(len).unwrap();
        assert_eq!(buffer.as_ptr() as usize % BLOCK_SIZE, 0);
        assert!(buffer.len() >= len && buffer.len().is_power_of_two());
    }
}

#[test]
fn a_room_is_used_again_once_its_copy_is_gone() {
    let mut room = Room::default();
    let first = room.copy(b"first");
    let second = room.copy(b"second");
    assert_eq!((&first[..], &second[..]), (&b"first"[..], &b"second"[..]));
    let held = second.slice(3..);
    drop(second);
    let third = room.copy(b"3");
    assert_eq!((&held[..], &third[..]), (&b"ond"[..], &b"3"[..]));
    let address = third.as_ptr();
    drop(third);
    assert_eq!(room.copy(b"4").as_ptr(), address);
}
