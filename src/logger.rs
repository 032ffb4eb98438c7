//! The logger: what is told, and how.

/// `RUST_LOG` decides; otherwise `default`.
pub(crate) fn start(default: &str) {
    let wanted = env_logger::Env::default().default_filter_or(default);
    let mut logger = env_logger::Builder::from_env(wanted);
    // Whatever `RUST_LOG` says: pingora's own lines hold whole heads, and so cookies and credentials.
    logger.filter_module("pingora_proxy", log::LevelFilter::Off);
    logger.filter_module("pingora_core", log::LevelFilter::Error);
    logger.format_timestamp_millis().init();
}
