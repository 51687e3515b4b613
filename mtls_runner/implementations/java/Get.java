import java.io.BufferedReader;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSession;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509ExtendedTrustManager;

/** Requests by Java's HttpClient, one after the other, each by a client of its own. It prints what it sees, a fact a line. */
class Get {
    /** Names are resolved by this file of the working directory (jdk.net.hosts.file). */
    static final Path HOSTS = Path.of("hosts");

    /** A request for each line, which is the path of its settings. */
    static void each(BufferedReader wanted) throws Exception {
        begin();
        Lab.say("ready");
        for (String path = wanted.readLine(); path != null; path = wanted.readLine()) {
            Lab lab = new Lab(path);
            Files.writeString(HOSTS, lab.one("host") + " " + lab.one("verify_name") + "\n");
            int code = run(lab);
            Lab.say("exit " + code);
            // What an HttpClient keeps open for a next request, nobody can have it close before Java 21.
            if (lab.all("alpn").contains("h2")) System.exit(code);
        }
    }

    /**
     * A request that ends with its ClientHello: what a JVM loads and compiles for its first one takes as long as all the rest, on
     * a busy machine longer than an exchange may, and belongs to its start.
     */
    static void begin() throws Exception {
        try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Thread server = new Thread(() -> {
                try {
                    while (true) {
                        try (Socket client = listener.accept()) {
                            client.getInputStream().read(new byte[4096]);
                        }
                    }
                } catch (IOException closed) { }
            });
            server.start();
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, new TrustManager[] {new TellingTrust(null, true)}, null);
            URI address = URI.create("https://127.0.0.1:" + listener.getLocalPort() + "/");
            HttpClient.newBuilder().sslContext(context).build().send(HttpRequest.newBuilder(address).build(), HttpResponse.BodyHandlers.discarding());
        } catch (IOException ended) { }
    }

    static int run(Lab lab) throws Exception {
        HttpClient client;
        try {
            client = client(lab);
        } catch (Exception error) {
            Lab.say("own " + Lab.told(error));
            return 1;
        }
        Duration limit = Duration.ofMillis((long) (Double.parseDouble(lab.one("timeout")) * 1000));
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(lab.one("url"))).timeout(limit);
        request.method(lab.one("method"), lab.one("body_file").isEmpty() ? HttpRequest.BodyPublishers.noBody()
            : HttpRequest.BodyPublishers.ofFile(Path.of(lab.one("body_file"))));
        if (!lab.all("alpn").contains("h2")) request.header("Connection", "close");
        for (String header : lab.all("header")) request.header(header.split(": ", 2)[0], header.split(": ", 2)[1]);
        try {
            HttpResponse<byte[]> response = client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
            Lab.say("status " + response.statusCode());
            response.headers().map().forEach((name, values) -> values.forEach(value -> Lab.say("header " + name + ": " + value)));
            Lab.say("body " + Lab.encoded(response.body()));
            return 0;
        } catch (Exception error) {
            // Its HttpClient says no more of a connection that was refused than the exception's name.
            Lab.say("error " + Lab.told(error) + (error instanceof ConnectException ? " <- Connection refused" : ""));
            return 1;
        }
    }

    static HttpClient client(Lab lab) throws Exception {
        KeyManager[] own = lab.own();
        TrustManager[] trusted = lab.trusted();
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(
            own == null ? new KeyManager[] {new TellingKeys(null)} : new KeyManager[] {new TellingKeys((X509ExtendedKeyManager) own[0])},
            new TrustManager[] {new TellingTrust(trusted.length == 0 ? null : (X509ExtendedTrustManager) trusted[0], !lab.one("insecure").isEmpty())},
            new TellingRandom(Integer.parseInt(lab.one("port"))));
        SSLParameters parameters = new SSLParameters();
        parameters.setProtocols(lab.all("tls").toArray(new String[0]));
        return HttpClient.newBuilder().sslContext(context).sslParameters(parameters)
            .version(lab.all("alpn").contains("h2") ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1).build();
    }

    /**
     * Its HttpClient does not tell where it connects from; Linux does (proc(5)). A ClientHello begins with random bytes, and who
     * makes one is connected, and can't have been refused yet: so it looks when it is asked for them. Where a server closes
     * without an answer, it tries once more: each connection is told.
     */
    static class TellingRandom extends SecureRandom {
        final int remote;
        /** Those that were looked at, and those of an HttpClient before this one, which may not have closed them yet. */
        final Set<String> known;

        TellingRandom(int remote) throws IOException {
            this.remote = remote;
            known = sockets();
        }

        @Override
        public void nextBytes(byte[] bytes) {
            tell();
            super.nextBytes(bytes);
        }

        synchronized void tell() {
            try {
                Set<String> fresh = sockets();
                fresh.removeAll(known);
                if (fresh.isEmpty()) return; // random bytes are asked for several times, and the tables of connections are long
                known.addAll(fresh);
                for (int port : ports(remote, fresh)) Lab.say("local " + port);
            } catch (IOException none) { }
        }
    }

    /** Of this process, as /proc names them. */
    static Set<String> sockets() throws IOException {
        Set<String> found = new HashSet<>();
        try (var entries = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path entry : entries) {
                try {
                    String name = Files.readSymbolicLink(entry).toString();
                    if (name.startsWith("socket:")) found.add(name);
                } catch (IOException closed) { }
            }
        }
        return found;
    }

    /** From which these sockets are connected to that port of the server. */
    static Set<Integer> ports(int remote, Set<String> sockets) throws IOException {
        String wanted = String.format(":%04X", remote);
        Set<Integer> found = new HashSet<>();
        for (Path table : new Path[] {Path.of("/proc/self/net/tcp"), Path.of("/proc/self/net/tcp6")}) {
            if (!Files.exists(table)) continue;
            for (String line : Files.readAllLines(table)) {
                if (!line.contains(wanted)) continue;
                String[] fields = line.trim().split("\\s+");
                if (fields[2].endsWith(wanted) && sockets.contains("socket:[" + fields[9] + "]"))
                    found.add(Integer.parseInt(fields[1].substring(fields[1].indexOf(':') + 1), 16));
            }
        }
        return found;
    }

    /** Says whether the server asked, and what was sent: only what the server's authorities issued. */
    static class TellingKeys extends X509ExtendedKeyManager {
        final X509ExtendedKeyManager own;

        TellingKeys(X509ExtendedKeyManager own) {
            this.own = own;
        }

        @Override
        public String chooseEngineClientAlias(String[] types, Principal[] issuers, SSLEngine engine) {
            Lab.say("asked yes");
            String chosen = own == null ? null : own.chooseEngineClientAlias(types, issuers, engine);
            if (chosen == null) return null;
            X509Certificate[] chain = own.getCertificateChain(chosen);
            if (chain == null) return null;
            for (X509Certificate one : chain) tell("sent", one);
            return chosen;
        }

        @Override
        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return null;
        }

        @Override
        public String[] getClientAliases(String type, Principal[] issuers) {
            return own == null ? null : own.getClientAliases(type, issuers);
        }

        @Override
        public String[] getServerAliases(String type, Principal[] issuers) {
            return null;
        }

        @Override
        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            return null;
        }

        @Override
        public X509Certificate[] getCertificateChain(String alias) {
            return own == null ? null : own.getCertificateChain(alias);
        }

        @Override
        public PrivateKey getPrivateKey(String alias) {
            return own == null ? null : own.getPrivateKey(alias);
        }
    }

    /** Says what the server presented, and what was agreed on, once that is verified. */
    static class TellingTrust extends X509ExtendedTrustManager {
        final X509ExtendedTrustManager own;
        final boolean insecure;

        TellingTrust(X509ExtendedTrustManager own, boolean insecure) {
            this.own = own;
            this.insecure = insecure;
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
            for (X509Certificate one : chain) tell("peer", one);
            if (!insecure && own == null) throw new CertificateException("unable to find valid certification path: nobody is trusted");
            if (!insecure) own.checkServerTrusted(chain, type, engine);
            SSLSession session = engine.getHandshakeSession();
            String protocol = engine.getHandshakeApplicationProtocol();
            Lab.say("handshake tls=<" + session.getProtocol() + "> cipher=<" + session.getCipherSuite() + "> alpn=<"
                + (protocol == null ? "" : protocol) + ">");
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
            throw new CertificateException("not asked by an HttpClient");
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
            throw new CertificateException("not asked by an HttpClient");
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
            throw new CertificateException("not asked by a client");
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
            throw new CertificateException("not asked by a client");
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
            throw new CertificateException("not asked by a client");
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return own == null ? new X509Certificate[0] : own.getAcceptedIssuers();
        }
    }

    static void tell(String what, X509Certificate certificate) {
        try {
            Lab.say(what + " " + Lab.encoded(certificate.getEncoded()));
        } catch (java.security.cert.CertificateEncodingException none) { }
    }
}
