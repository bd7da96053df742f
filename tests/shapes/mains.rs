//! `#[tracium::main]` over every kind of `main`, and the others on one.

mod sync {
    #[tracium::main]
    pub fn main() {}
}

mod sync_with_result {
    #[tracium::main]
    pub fn main() -> Result<(), std::num::ParseIntError> {
        let number: u8 = "1".parse()?;
        assert_eq!(number, 1);
        Ok(())
    }
}

mod above_the_runtime {
    /// Documented.
    #[tracium::main]
    #[tokio::main]
    pub async fn main() -> anyhow::Result<()> {
        let number: u8 = "1".parse()?;
        std::future::ready(number).await;
        Ok(())
    }
}

mod below_the_runtime {
    #[tokio::main(flavor = "current_thread")]
    #[tracium::main]
    pub async fn main() -> Result<(), String> {
        std::future::ready(()).await;
        Ok(())
    }
}

mod exit_code {
    use std::process::ExitCode;

    #[tracium::main]
    #[tokio::main]
    pub async fn main() -> ExitCode {
        ExitCode::SUCCESS
    }
}

mod traced_above_the_runtime {
    #[tracium::trace(agent = "support-bot")]
    #[tracium::tenant_scope(from = "acme")]
    #[tokio::main(flavor = "current_thread")]
    pub async fn main() -> Result<(), String> {
        Ok(())
    }
}

mod traced_below_the_runtime {
    #[tracium::main]
    #[tokio::main(flavor = "current_thread")]
    #[tracium::tenant_scope(from = "acme")]
    #[tracium::trace(agent = "support-bot")]
    pub async fn main() -> Result<(), String> {
        Ok(())
    }
}
