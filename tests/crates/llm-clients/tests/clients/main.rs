//! The real clients, each with its adapter, against a server on loopback.

mod async_openai;
mod bedrock;
mod bridged;
mod genai;
mod reqwest;
mod rig;
mod tenants;
