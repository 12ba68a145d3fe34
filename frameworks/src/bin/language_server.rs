//! A language server on a pipe, as editors start one: language_server --pipe NAME
//!
//! The editor has made the pipe; the server connects to it. It knows one thing: what to say where the mouse is.

use std::ops::ControlFlow;

use anyhow::Context;
use async_lsp::lsp_types::{
    Hover, HoverContents, HoverProviderCapability, InitializeResult, MarkedString,
    ServerCapabilities, notification, request,
};
use async_lsp::router::Router;
use async_lsp::{ClientSocket, MainLoop};
use npipe::tokio::PipeStream;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let name = match &words[..] {
        [option, name] if option == "--pipe" => name.as_str(),
        [option] => option.strip_prefix("--pipe=").context("--pipe NAME")?,
        _ => anyhow::bail!("usage: language_server --pipe NAME"),
    };
    let (read, write) = PipeStream::connect(name).await?.into_split();
    let (server, _) = MainLoop::new_server(|client: ClientSocket| {
        let mut router = Router::new(client);
        router
            .request::<request::Initialize, _>(|_, _| async {
                Ok(InitializeResult {
                    capabilities: ServerCapabilities {
                        hover_provider: Some(HoverProviderCapability::Simple(true)),
                        ..ServerCapabilities::default()
                    },
                    server_info: None,
                })
            })
            .request::<request::HoverRequest, _>(|_, params| async move {
                let at = params.text_document_position_params.position;
                let text = format!("line {}, character {}", at.line + 1, at.character + 1);
                Ok(Some(Hover {
                    contents: HoverContents::Scalar(MarkedString::String(text)),
                    range: None,
                }))
            })
            .request::<request::Shutdown, _>(|_, _| async { Ok(()) })
            .notification::<notification::Initialized>(|_, _| ControlFlow::Continue(()))
            .notification::<notification::Exit>(|_, _| ControlFlow::Break(Ok(())));
        router
    });
    server
        .run_buffered(read.compat(), write.compat_write())
        .await?;
    Ok(())
}
