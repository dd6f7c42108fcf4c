//! Connection strings: hiding their secrets, and naming a Unix socket. Opens nothing.

/// The URI without its secrets: the user's name and password, and the values of options that hold any.
pub(crate) fn redacted(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return "(no URI)".to_owned();
    };
    // A password with an unescaped `/` or `?` is invalid, but still a secret: the last `@` counts.
    let rest = match rest.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => rest.to_owned(),
    };
    let text = match rest.split_once('?') {
        Some((place, options)) => {
            let options: Vec<String> = options.split('&').map(redacted_option).collect();
            format!("{place}?{}", options.join("&"))
        }
        None => rest,
    };
    format!("{scheme}://{text}")
}

/// The hosts that the URI names, decoded.
pub(crate) fn hosts(uri: &str) -> Vec<String> {
    let Some((_, rest)) = uri.split_once("://") else { return Vec::new() };
    let place = rest.split('?').next().unwrap_or(rest);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let hosts = place.split('/').next().unwrap_or(place);
    let decoded = |host| percent_encoding::percent_decode_str(host).decode_utf8_lossy();
    hosts.split(',').map(|host| decoded(host).into_owned()).collect()
}

fn redacted_option(option: &str) -> String {
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        name == "authmechanismproperties" || name.contains("password") || name.contains("username")
    };
    match option.split_once('=') {
        Some((name, _)) if secret(name) => format!("{name}=***"),
        _ => option.to_owned(),
    }
}

/// The URI of a server on a Unix socket.
#[cfg(feature = "embedded")]
pub(crate) fn of_socket(path: &str) -> String {
    let mut host = String::with_capacity(path.len() * 2);
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                host.push(char::from(byte));
            }
            _ => host.push_str(&format!("%{byte:02X}")),
        }
    }
    // Without discovery: a socket's path is no name under which other members could be found.
    format!("mongodb://{host}/?directConnection=true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        for (uri, shown) in [
            ("mongodb://h:1,i:2/db?w=1", "mongodb://h:1,i:2/db?w=1"),
            ("mongodb://me:s3cret@h/", "mongodb://***@h/"),
            ("mongodb+srv://me:s3/c?r@et@h/db", "mongodb+srv://***@h/db"),
            (
                "mongodb://h/?tlsCertificateKeyFilePassword=s3cret&tls=true",
                "mongodb://h/?tlsCertificateKeyFilePassword=***&tls=true",
            ),
            (
                "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:s3cret",
                "mongodb://h/?authMechanismProperties=***",
            ),
            ("s3cret", "(no URI)"),
        ] {
            assert_eq!(redacted(uri), shown);
        }
    }

    #[test]
    fn hosts_are_told_without_the_user() {
        assert_eq!(hosts("mongodb://me:s3cret@h:1,[::1]:2/db?w=1"), ["h:1", "[::1]:2"]);
        assert_eq!(hosts("mongodb+srv://db.example.net"), ["db.example.net"]);
        assert_eq!(hosts("mongodb://%2Frun%2Fnode.sock/?w=1"), ["/run/node.sock"]);
        assert_eq!(hosts(""), [""; 0]);
    }

    #[cfg(feature = "embedded")]
    #[test]
    fn a_socket_path_becomes_a_host_that_the_driver_understands() {
        let uri = of_socket("/tmp/a b/Ü/node.sock");
        assert_eq!(uri, "mongodb://%2Ftmp%2Fa%20b%2F%C3%9C%2Fnode.sock/?directConnection=true");
        let host = uri.trim_start_matches("mongodb://").split('/').next().unwrap();
        let address = mongodb::options::ServerAddress::parse(host).unwrap();
        assert_eq!(address.to_string(), "/tmp/a b/Ü/node.sock");
    }
}
