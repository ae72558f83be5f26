use super::*;
use crate::buffer::Slice;
use crate::file::File;
use crate::parts::Parts;
use crate::shard::test_on_shard;
use std::io::{Read, Write};

#[test]
fn echoes_small_and_large() {
    test_on_shard(|| async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let address = listener.address();
        let mut incoming = listener.accept().unwrap();
        let client = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            for len in [10usize, 16 << 10, 300_000] {
                let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
                stream.write_all(&(len as u32).to_be_bytes()).unwrap();
                stream.write_all(&message).unwrap();
                let mut back = vec![0; len];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, message);
            }
        });
        let stream = incoming.next().await.unwrap();
        let pool = Pool::current();
        let mut spare: Vec<u8> = Vec::new();
        for _ in 0..3 {
            while spare.len() < 4 {
                let (buffer, n) = stream.receive().await.unwrap();
                spare.extend_from_slice(&buffer[..n]);
            }
            let len = u32::from_be_bytes(spare[..4].try_into().unwrap()) as usize;
            let mut frame = pool.take(len).unwrap();
            let have = (spare.len() - 4).min(len);
            frame[..have].copy_from_slice(&spare[4..4 + have]);
            spare.drain(..4 + have);
            let frame = stream.receive_exact(frame, have, len).await.unwrap().freeze();
            let half = len / 2;
            stream
                .send(Parts::from(vec![
                    frame.slice(..half),
                    Slice::default(),
                    frame.slice(half..len),
                ]))
                .await
                .unwrap();
        }
        let (_, n) = stream.receive().await.unwrap();
        assert_eq!(n, 0, "the client has closed");
        client.join().unwrap();
    });
}

#[test]
fn sends_a_file() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, vec![7u8; 3_000_000]).unwrap();
    test_on_shard(move || async move {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let address = listener.address();
        let mut incoming = listener.accept().unwrap();
        let client = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), 2_999_000);
        });
        let stream = incoming.next().await.unwrap();
        let file = File::open(&path, crate::file::OpenMode::ReadBuffered)
            .await
            .unwrap();
        stream.send_file(&file, 1000, 2_999_000).await.unwrap();
        drop(stream);
        client.join().unwrap();
    });
}
