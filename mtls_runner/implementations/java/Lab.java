import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URLDecoder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.CertPathValidator;
import java.security.cert.CertStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.CertPathTrustManagerParameters;
import javax.net.ssl.ExtendedSSLSession;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

/** What Java's own TLS library does as a server; what server and client make of the lab's file, which has a setting a line. */
public class Lab {
    static final char[] NO_PASSWORD = new char[0];
    final Map<String, List<String>> settings = new HashMap<>();

    Lab(String path) throws IOException {
        for (String line : Files.readAllLines(Path.of(path))) {
            int at = line.indexOf('=');
            if (at > 0) settings.computeIfAbsent(line.substring(0, at), name -> new ArrayList<>()).add(line.substring(at + 1));
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("serve")) new Lab(arguments[1]).serve();
        else Get.each(new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)));
    }

    List<String> all(String name) {
        return settings.getOrDefault(name, List.of());
    }

    String one(String name) {
        return all(name).isEmpty() ? "" : all(name).get(0);
    }

    static void say(String line) {
        System.out.println(line);
    }

    static String encoded(byte[] content) {
        return Base64.getEncoder().encodeToString(content);
    }

    /** An exception and what it came from, in a line. */
    static String told(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable one = error; one != null && text.length() < 4000; one = one.getCause()) {
            text.append(text.length() == 0 ? "" : " <- ").append(one.toString().replaceAll("\\s+", " "));
        }
        return text.toString();
    }

    static List<X509Certificate> certificates(String path) throws Exception {
        List<X509Certificate> found = new ArrayList<>();
        if (path.isEmpty()) return found;
        try (InputStream content = Files.newInputStream(Path.of(path))) {
            for (Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(content)) found.add((X509Certificate) one);
        }
        return found;
    }

    static final Pattern PRIVATE_KEY = Pattern.compile("-----BEGIN (\\S* ?)PRIVATE KEY-----(.*?)-----END ", Pattern.DOTALL);
    static final int INTEGER = 0x02, OCTET_STRING = 0x04, OID = 0x06, SEQUENCE = 0x30, PARAMETERS = 0xa0;
    static final byte[] VERSION = {INTEGER, 1, 0};
    static final byte[] RSA = {OID, 9, 0x2a, (byte) 0x86, 0x48, (byte) 0x86, (byte) 0xf7, 0x0d, 1, 1, 1, 5, 0};
    static final byte[] EC = {OID, 7, 0x2a, (byte) 0x86, 0x48, (byte) 0xce, 0x3d, 2, 1};

    static byte[] der(int tag, byte[]... parts) throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        for (byte[] part : parts) content.write(part);
        int size = content.size();
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(tag);
        if (size >= 0x80) all.write(size < 0x100 ? 0x81 : 0x82);
        if (size >= 0x100) all.write(size >> 8);
        all.write(size);
        content.writeTo(all);
        return all.toByteArray();
    }

    /** The content of what stands next, which has this tag. */
    static ByteBuffer next(ByteBuffer from, int tag) throws InvalidKeySpecException {
        if ((from.get() & 0xff) != tag) throw new InvalidKeySpecException("unexpected tag");
        int size = from.get() & 0xff;
        if (size >= 0x80) {
            int octets = size & 0x7f;
            for (size = 0; octets > 0; octets--) size = size << 8 | from.get() & 0xff;
        }
        ByteBuffer content = from.slice().limit(size);
        from.position(from.position() + size);
        return content;
    }

    /** The curve of an EC key in the form of RFC 5915. */
    static byte[] curve(byte[] key) throws InvalidKeySpecException {
        ByteBuffer parts = next(ByteBuffer.wrap(key), SEQUENCE);
        next(parts, INTEGER);
        next(parts, OCTET_STRING);
        ByteBuffer found = next(parts, PARAMETERS);
        byte[] octets = new byte[found.remaining()];
        found.get(octets);
        return octets;
    }

    /** A key's file as PKCS#8, of which OpenSSL before 3.0 wrote the inner part alone. */
    static byte[] pkcs8(String path) throws Exception {
        String text = Files.readString(Path.of(path));
        Matcher block = PRIVATE_KEY.matcher(text);
        boolean found = block.find();
        byte[] content = Base64.getDecoder().decode((found ? block.group(2) : text).replaceAll("\\s", ""));
        if (found && block.group(1).equals("RSA ")) return der(SEQUENCE, VERSION, der(SEQUENCE, RSA), der(OCTET_STRING, content));
        if (found && block.group(1).equals("EC ")) return der(SEQUENCE, VERSION, der(SEQUENCE, EC, curve(content)), der(OCTET_STRING, content));
        return content;
    }

    static PrivateKey key(String path) throws Exception {
        PKCS8EncodedKeySpec content = new PKCS8EncodedKeySpec(pkcs8(path));
        InvalidKeySpecException last = null;
        for (String kind : new String[] {"EC", "RSA", "RSASSA-PSS", "EdDSA"}) {
            try {
                return KeyFactory.getInstance(kind).generatePrivate(content);
            } catch (InvalidKeySpecException error) {
                last = error;
            }
        }
        throw last;
    }

    KeyManager[] own() throws Exception {
        if (one("certificate").isEmpty()) return null;
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, NO_PASSWORD);
        store.setKeyEntry("own", key(one("key")), NO_PASSWORD, certificates(one("certificate")).toArray(new Certificate[0]));
        KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(store, NO_PASSWORD);
        return factory.getKeyManagers();
    }

    TrustManager[] trusted() throws Exception {
        Set<TrustAnchor> anchors = new HashSet<>();
        for (X509Certificate one : certificates(one("trust"))) anchors.add(new TrustAnchor(one, null));
        if (anchors.isEmpty()) return new TrustManager[0];
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, new X509CertSelector());
        parameters.setRevocationEnabled(!one("crl").isEmpty());
        if (!one("crl").isEmpty()) {
            try (InputStream content = Files.newInputStream(Path.of(one("crl")))) {
                var lists = CertificateFactory.getInstance("X.509").generateCRLs(content);
                parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(lists)));
            }
            var checker = (PKIXRevocationChecker) CertPathValidator.getInstance("PKIX").getRevocationChecker();
            var options = EnumSet.of(PKIXRevocationChecker.Option.PREFER_CRLS, PKIXRevocationChecker.Option.NO_FALLBACK);
            if (one("crl_check").equals("leaf")) options.add(PKIXRevocationChecker.Option.ONLY_END_ENTITY);
            checker.setOptions(options);
            parameters.addCertPathChecker(checker);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(new CertPathTrustManagerParameters(parameters));
        return factory.getTrustManagers();
    }

    void serve() throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(own(), trusted(), null);
        SSLServerSocket listener = (SSLServerSocket) context.getServerSocketFactory().createServerSocket();
        SSLParameters parameters = listener.getSSLParameters();
        parameters.setProtocols(all("tls").toArray(new String[0]));
        parameters.setApplicationProtocols(all("alpn").toArray(new String[0]));
        if (one("client_auth").equals("required")) parameters.setNeedClientAuth(true);
        if (one("client_auth").equals("optional")) parameters.setWantClientAuth(true);
        listener.setSSLParameters(parameters);
        listener.bind(new InetSocketAddress(one("host"), Integer.parseInt(one("port"))));
        while (true) {
            SSLSocket socket = (SSLSocket) listener.accept();
            Thread thread = new Thread(() -> meet(socket));
            thread.setDaemon(true);
            thread.start();
        }
    }

    void meet(SSLSocket socket) {
        int port = socket.getPort();
        try (socket) {
            socket.setSoTimeout(20000);
            socket.startHandshake();
            answer(socket, port);
            socket.shutdownOutput();
            while (socket.getInputStream().read() >= 0) { } // what is left unread would reset the connection
        } catch (Exception error) {
            say("refused port=" + port + " " + told(error));
        }
    }

    void answer(SSLSocket socket, int port) throws IOException {
        String[] request = head(socket.getInputStream()).split("\r\n")[0].split(" ");
        if (request.length < 2) return; // it went away again
        ExtendedSSLSession session = (ExtendedSSLSession) socket.getSession();
        String certificate = "";
        try {
            certificate = encoded(((X509Certificate) session.getPeerCertificates()[0]).getEncoded());
        } catch (SSLPeerUnverifiedException | java.security.cert.CertificateEncodingException none) { }
        String name = session.getRequestedServerNames().isEmpty() ? ""
            : new String(session.getRequestedServerNames().get(0).getEncoded(), StandardCharsets.UTF_8);
        say("answered port=" + port + " request=<" + request[0] + " " + request[1] + "> tls=<" + session.getProtocol() + "> cipher=<"
            + session.getCipherSuite() + "> client_verify=" + (certificate.isEmpty() ? "NONE" : "SUCCESS") + " certificate=<" + certificate
            + "> sni=<" + name + ">");
        String path = decoded(request[1].split("\\?")[0]);
        int chosen = all("path").indexOf(path) < 0 ? all("path").size() - 1 : all("path").indexOf(path);
        String file = all("body_file").get(chosen);
        byte[] body = file.isEmpty() ? new byte[0] : Files.readAllBytes(Path.of(file));
        StringBuilder text = new StringBuilder("HTTP/1.1 " + all("status").get(chosen) + " \r\n");
        for (String header : all("header-" + chosen)) text.append(header).append("\r\n");
        text.append("Content-Length: ").append(body.length).append("\r\nConnection: close\r\n\r\n");
        OutputStream out = socket.getOutputStream();
        byte[] start = text.toString().getBytes(StandardCharsets.UTF_8);
        byte[] all = new byte[start.length + (request[0].equals("HEAD") ? 0 : body.length)];
        System.arraycopy(start, 0, all, 0, start.length);
        System.arraycopy(body, 0, all, start.length, all.length - start.length);
        out.write(all);
        out.flush();
    }

    static String decoded(String path) {
        try {
            return URLDecoder.decode(path.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException malformed) {
            return path;
        }
    }

    static String head(InputStream in) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int one = in.read(); one >= 0; one = in.read()) {
            text.append((char) one);
            if (one == '\n' && text.length() > 3 && text.indexOf("\r\n\r\n", text.length() - 4) >= 0) break;
        }
        return text.toString();
    }
}
