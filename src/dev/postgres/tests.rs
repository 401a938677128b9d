use super::*;

/// A query through `psql`, which every PostgreSQL has; unaligned, tuples only.
async fn query(postgres: &PrivatePostgres, database: &str, sql: &str) -> String {
    let mut psql = postgres.client("psql");
    psql.args(["--no-psqlrc", "-At", "-d", database, "-c", sql]);
    let output = run(psql).await.expect("psql");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn databases_outlive_a_restart_and_the_port_stays() {
    // A long path: no Unix socket would fit into it.
    let top = tempfile::tempdir().expect("scratch folder");
    let folder = top.path().join("a".repeat(120));
    let postgres = PrivatePostgres::start(&folder, Durability::Scratch).await.expect("started");
    assert!(postgres.create_database("one").await.expect("created"));
    assert!(!postgres.create_database("one").await.expect("there"));
    query(&postgres, "one", "CREATE TABLE t AS SELECT 42 AS answer").await;
    assert!(postgres.create_database_from_template("two", "one").await.expect("copied"));
    let port = postgres.port();
    let password = postgres.password().to_owned();
    postgres.stop().await.expect("stopped");

    let postgres = PrivatePostgres::start(&folder, Durability::Scratch).await.expect("started again");
    assert_eq!((postgres.port(), postgres.password()), (port, password.as_str()));
    assert_eq!(query(&postgres, "two", "SELECT answer FROM t").await, "42");
    assert_eq!(query(&postgres, "two", "SHOW unix_socket_directories").await, "");
    assert_eq!(query(&postgres, "two", "SHOW server_encoding").await, "UTF8");
    let failure = postgres.create_database_from_template("three", "absent").await;
    assert!(matches!(failure, Err(Error::Command { output, .. }) if output.contains("absent")));
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let postgres = PrivatePostgres::start(folder.path(), Durability::Scratch).await.expect("started");
    let mut psql = postgres.client("psql");
    psql.env("PGPASSWORD", "wrong").args(["-d", "postgres", "-c", "SELECT 1"]);
    let failure = run(psql).await;
    assert!(matches!(failure, Err(Error::Command { output, .. }) if output.contains("password")));
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_a_stale_lock_is_not() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let postgres = PrivatePostgres::start(folder.path(), Durability::Scratch).await.expect("started");
    let second = PrivatePostgres::start(folder.path(), Durability::Scratch).await;
    assert!(matches!(second, Err(Error::InUse { pid, .. }) if pid > 1), "{second:?}");
    assert_eq!(query(&postgres, "postgres", "SELECT 1").await, "1", "the first one is unharmed");
    postgres.stop().await.expect("stopped");

    // As after kill -9 and a reboot: the process id belongs to someone else now.
    let lock = folder.path().join("cluster/postmaster.pid");
    std::fs::write(&lock, format!("{}\n", std::process::id())).expect("lock file");
    let postgres = PrivatePostgres::start(folder.path(), Durability::Scratch).await.expect("started");
    assert_eq!(query(&postgres, "postgres", "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_start_that_fails_shows_the_end_of_the_log() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let postgres = PrivatePostgres::start(folder.path(), Durability::Scratch).await.expect("started");
    postgres.stop().await.expect("stopped");
    std::fs::write(folder.path().join("cluster/postgresql.conf"), "no_such_setting = 1\n").expect("config");
    let failure = PrivatePostgres::start(folder.path(), Durability::Scratch).await;
    assert!(failure.is_err_and(|error| error.to_string().contains("no_such_setting")));
}
