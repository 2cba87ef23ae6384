//! The database of a stack's own collector.

use anyhow::Result;
use koala_collector::store::postgres::DatabaseUrl;
use serde_json::Value;

use super::cli::Aws;
use super::output_of;

/// Where it is, or why that cannot be said.
///
/// # Errors
/// When AWS cannot be asked at all.
pub fn database(aws: &impl Aws, stack: &str) -> Result<Result<DatabaseUrl, String>> {
    let described = match aws.call(&["cloudformation", "describe-stacks", "--stack-name", stack])? {
        Ok(described) => described,
        Err(said) => return Ok(Err(format!("the stack {stack} cannot be read: {said}"))),
    };
    let described = &described["Stacks"][0];
    let cluster = output_of(described, "DatabaseEndpoint");
    if !cluster.is_empty() {
        return Ok(DatabaseUrl::of_cluster(&cluster).map_err(|error| error.to_string()));
    }
    if parameter_of(described, "Collector") != Some("own") {
        return Ok(Err(format!("{stack} has no collector of its own, and so no database (Collector=url)")));
    }
    let prefix = output_of(described, "ParameterPrefix");
    let name = format!("/koala-collector/{}/database-url", prefix.rsplit('/').next().unwrap_or_default());
    Ok(match aws.call(&["ssm", "get-parameter", "--with-decryption", "--name", &name])? {
        // What is no URL may be a password all the same, and is not shown.
        Ok(read) => DatabaseUrl::parse(read["Parameter"]["Value"].as_str().unwrap_or_default())
            .map_err(|error| format!("{name}: {error}")),
        Err(said) => Err(format!("{name} cannot be read: {said}")),
    })
}

fn parameter_of<'v>(stack: &'v Value, name: &str) -> Option<&'v str> {
    let mut parameters = stack["Parameters"].as_array().into_iter().flatten();
    parameters.find(|it| it["ParameterKey"] == name)?["ParameterValue"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A stack with these parameters and outputs, and what a parameter of Parameter Store says.
    struct Stack {
        described: Value,
        parameter: Result<Value, String>,
    }

    impl Aws for Stack {
        fn call(&self, arguments: &[&str]) -> Result<Result<Value, String>> {
            Ok(match arguments {
                ["cloudformation", ..] => Ok(json!({"Stacks": [self.described]})),
                ["ssm", .., "/koala-collector/dev/database-url"] => self.parameter.clone(),
                other => Err(format!("{other:?}")),
            })
        }

        fn region(&self) -> Option<String> {
            None
        }
    }

    fn of(collector: &str, outputs: &[(&str, &str)], parameter: Result<&str, &str>) -> Result<DatabaseUrl, String> {
        let outputs = outputs.iter().map(|(key, value)| json!({"OutputKey": key, "OutputValue": value}));
        let outputs: Vec<_> =
            outputs.chain([json!({"OutputKey": "ParameterPrefix", "OutputValue": "/koala-destination/dev"})]).collect();
        let parameters = json!([{"ParameterKey": "Collector", "ParameterValue": collector}]);
        let described = json!({"Parameters": parameters, "Outputs": outputs});
        let parameter =
            parameter.map(|value| json!({"Parameter": {"Value": value}})).map_err(std::borrow::ToOwned::to_owned);
        database(&Stack { described, parameter }, "koala-destination-dev").expect("AWS answers")
    }

    #[test]
    fn a_stack_s_database_is_its_cluster_or_that_of_its_parameter() {
        let outputs = [("DatabaseEndpoint", "foo.dsql.eu-west-1.on.aws")];
        let cluster = of("own", &outputs, Err("AccessDenied")).expect("a cluster");
        assert_eq!((cluster.is_dsql(), cluster.user()), (true, Some("admin")));
        let url = of("own", &[], Ok("postgres://ada:s3cret@db.example.com/koala")).expect("a URL");
        assert_eq!(url.to_string(), "postgres://db.example.com:5432/koala");
    }

    #[test]
    fn why_a_stack_s_database_is_not_known_is_said_without_a_secret() {
        let why = of("own", &[], Err("ParameterNotFound")).expect_err("none");
        assert!(why.contains("/koala-collector/dev/database-url cannot be read: ParameterNotFound"), "{why}");
        assert!(of("url", &[], Ok("")).expect_err("none").contains("Collector=url"));
        let why = of("own", &[], Ok("postgres://ada:s3cret@db:port/koala")).expect_err("none");
        assert!(why.contains("the URL of the database") && !why.contains("s3cret"), "{why}");
    }
}
