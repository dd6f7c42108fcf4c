//! What any server with this framing costs: a framed message in, a fixed `OP_MSG` reply `{ok: 1.0}` out.

use headwater_engine::bson::DocWriter;
use headwater_server::codec::{Header, msg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// `echo ADDR`
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let [address] = words else { return Err("echo needs an address".to_owned()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let failed = runtime.block_on(serve(address));
    failed.map_err(|error| error.to_string())
}

async fn serve(address: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let _ = echo(stream).await;
        });
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut document = DocWriter::new();
    document.f64("ok", 1.0);
    let document = document.finish();
    let (mut received, mut reply) = (Vec::new(), Vec::new());
    loop {
        received.reserve(8 * 1024);
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
        let mut done = 0;
        while let Ok(Some(header)) = Header::parse(received.get(done..).unwrap_or_default()) {
            if received.len() - done < header.length {
                break;
            }
            let start = reply.len();
            msg::start(&mut reply, 1, header.request_id, 0);
            reply.extend_from_slice(document.as_doc().as_bytes());
            msg::finish(&mut reply, start, 0);
            done += header.length;
        }
        received.drain(..done);
        stream.write_all(&reply).await?;
        reply.clear();
    }
}
