//! Compiles the .proto files with protox, so that no protoc needs to be installed.

const FILES: [&str; 7] = [
    "frame.proto",
    "session.proto",
    "messages.proto",
    "catching_up.proto",
    "marks.proto",
    "calls.proto",
    "content.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES.map(|file| format!("huizhen/v1/{file}")), ["proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
