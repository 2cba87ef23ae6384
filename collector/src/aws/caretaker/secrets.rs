//! The parameters that are made where they are missing: random, and never read by a person.

use std::time::Duration;

use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;
use koala_destination::aws::parameter_store::reason;
use lambda_runtime::Error;

use crate::aws::environment::CollectorEnvironment;

/// 256 bits cannot be guessed.
const SECRET_BYTES: usize = 32;
/// How often one is tried: Parameter Store refuses some calls where many come at once.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Makes `session-key`, which signs the cookies of the page, and `collector-token`, which the handlers show to `collect`.
pub async fn make(environment: &CollectorEnvironment) -> Result<(), Error> {
    let destination = environment.function.parameter_prefix.trim_end_matches('/');
    let collector = environment.collector_prefix.trim_end_matches('/');
    for name in [format!("{destination}/collector-token"), format!("{collector}/session-key")] {
        make_one(environment, &name).await?;
    }
    Ok(())
}

/// Makes one, unless it is there.
async fn make_one(environment: &CollectorEnvironment, name: &str) -> Result<(), Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    let secret = hex::encode(bytes);
    let ssm = environment.function.aws.ssm();
    let mut tries = 0;
    loop {
        tries += 1;
        let put = ssm.get().put_parameter().name(name).r#type(ParameterType::SecureString).overwrite(false);
        let put = put.set_key_id(environment.parameter_key.clone());
        match put.value(&secret).send().await {
            Ok(_) => {
                tracing::info!(name, "the parameter was made");
                return Ok(());
            }
            Err(error) if error.code() == Some("ParameterAlreadyExists") => return Ok(()),
            Err(error) if tries >= TRIES => {
                return Err(format!("the parameter {name} cannot be made: {}", reason(&error)).into());
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
