//! Speaks to a Neovim on its own pipe: neovim PIPE (of `nvim --listen PIPE`, or `$NVIM` inside one)
//!
//! It prints Neovim's version, writes a line into the current buffer, and reads it back.

use npipe::ConnectOptions;
use npipe::tokio::PipeStream;
use nvim_rs::compat::tokio::Compat;
use nvim_rs::{Handler, Neovim};
use tokio::io::WriteHalf;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// Neovim asks nothing of us.
#[derive(Clone)]
struct Silent;

impl Handler for Silent {
    type Writer = Compat<WriteHalf<PipeStream>>;
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1).unwrap_or("nvim".to_owned());
    let stream = ConnectOptions::new()
        .wait_for_server(true)
        .timeout(std::time::Duration::from_secs(20))
        .connect_tokio(&name)
        .await?;
    let (read, write) = tokio::io::split(stream);
    let (neovim, running) =
        Neovim::<Compat<WriteHalf<PipeStream>>>::new(read.compat(), write.compat_write(), Silent);
    tokio::spawn(running);
    let version = neovim.command_output("version").await?;
    println!(
        "{}",
        version.lines().find(|line| !line.is_empty()).unwrap_or("?")
    );
    let buffer = neovim.get_current_buf().await?;
    buffer
        .set_lines(0, -1, false, vec!["hello from Rust".to_owned()])
        .await?;
    println!("{}", buffer.get_lines(0, -1, false).await?.join("|"));
    Ok(())
}
