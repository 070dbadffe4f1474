#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;
use clap::Parser;
#[derive(Parser)]
struct A {
    #[command(flatten)]
    a: bench::Arguments,
}
fn main() -> anyhow::Result<()> {
    let mut b = tokio::runtime::Builder::new_multi_thread();
    b.enable_all();
    if std::env::var("NOLIFO").is_ok() {
        b.disable_lifo_slot();
    }
    b.build()?.block_on(bench::run(A::parse().a))
}
