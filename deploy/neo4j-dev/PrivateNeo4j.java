import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Map;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.connectors.HttpConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.configuration.ssl.ClientAuth;
import org.neo4j.configuration.ssl.SslPolicyConfig;
import org.neo4j.configuration.ssl.SslPolicyScope;
import org.neo4j.dbms.api.DatabaseManagementService;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;
import org.neo4j.io.ByteUnit;
import org.neo4j.io.fs.DefaultFileSystemAbstraction;
import org.neo4j.test.ssl.SelfSignedCertificateFactory;

/**
 * Neo4j Community on loopback: Bolt with and without TLS, a password, everything in one folder.
 *
 * <p>Arguments: folder, port. The password is read from the file "password" in the folder. The file
 * "ready" appears when the server takes connections with it. SIGTERM stops the server.
 */
final class PrivateNeo4j {
    private PrivateNeo4j() {}

    public static void main(String[] arguments) throws Exception {
        try {
            run(arguments);
        } catch (Throwable failure) {
            failure.printStackTrace();
            // Neo4j's own threads would keep the process.
            System.exit(1);
        }
    }

    private static void run(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]);
        int port = Integer.parseInt(arguments[1]);
        Path certificates = certificates(home.resolve("certificates"));
        SslPolicyConfig tls = SslPolicyConfig.forScope(SslPolicyScope.BOLT);
        SocketAddress address = new SocketAddress("localhost", port);

        DatabaseManagementService server = new DatabaseManagementServiceBuilder(home)
                .setConfig(GraphDatabaseSettings.auth_enabled, true)
                .setConfig(BoltConnector.enabled, true)
                .setConfig(BoltConnector.listen_address, new SocketAddress("127.0.0.1", port))
                .setConfig(BoltConnector.advertised_address, address)
                .setConfig(BoltConnector.encryption_level, BoltConnector.EncryptionLevel.OPTIONAL)
                .setConfig(tls.enabled, true)
                .setConfig(tls.base_directory, certificates)
                .setConfig(tls.client_auth, ClientAuth.NONE)
                .setConfig(HttpConnector.enabled, false)
                .setConfig(GraphDatabaseSettings.pagecache_memory, ByteUnit.mebiBytes(64))
                .setConfig(GraphDatabaseSettings.transaction_timeout, Duration.ofMinutes(10))
                // How often transactions that ran out of time are looked for.
                .setConfig(GraphDatabaseSettings.transaction_monitor_check_interval, Duration.ofMillis(200))
                .setConfig(GraphDatabaseSettings.udc_enabled, false)
                .build();
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));

        // Neo4j refuses to set the password that is set already.
        Path known = home.resolve("data/password.set");
        if (!Files.exists(known)) {
            String password = Files.readString(home.resolve("password")).strip();
            server.database(GraphDatabaseSettings.SYSTEM_DATABASE_NAME).executeTransactionally(
                    "ALTER USER neo4j SET PASSWORD $password CHANGE NOT REQUIRED", Map.of("password", password));
            Files.createFile(known);
        }
        Path ready = Files.writeString(home.resolve("ready.new"), port + "\n");
        Files.move(ready, home.resolve("ready"), StandardCopyOption.ATOMIC_MOVE);
        Thread.currentThread().join();
    }

    /** A self-signed certificate for localhost, made once. */
    private static Path certificates(Path folder) throws Exception {
        if (!Files.exists(folder.resolve("public.crt"))) {
            Files.createDirectories(folder);
            new SelfSignedCertificateFactory().createSelfSignedCertificate(
                    new DefaultFileSystemAbstraction(),
                    folder.resolve("public.crt"),
                    folder.resolve("private.key"),
                    "localhost");
        }
        return folder;
    }
}
