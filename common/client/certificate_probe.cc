// ProbeCertificate: a TLS handshake through memory BIOs, so that the socket stays ours: deadlines by poll, no SIGPIPE.
#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "common/base/errors.h"
#include "common/base/handles.h"
#include "common/client/channel.h"

namespace pulseboard::client {
namespace {

using SslContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

using Deadline = std::chrono::steady_clock::time_point;

absl::Status PollUntil(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return absl::DeadlineExceededError("no answer in time");
    pollfd entry{fd, events, 0};
    const int n = poll(&entry, 1, static_cast<int>(left.count()));
    if (n > 0) return absl::OkStatus();
    if (n < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
  }
}

absl::StatusOr<FileDescriptor> ConnectTo(const addrinfo& address, Deadline deadline) {
  FileDescriptor socket_fd(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket_fd.get() < 0) return absl::ErrnoToStatus(errno, "socket");
  if (connect(socket_fd.get(), address.ai_addr, address.ai_addrlen) == 0) return socket_fd;
  if (errno != EINPROGRESS) return absl::UnavailableError(std::string("connect: ") + std::strerror(errno));
  PB_RETURN_IF_ERROR(PollUntil(socket_fd.get(), POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(socket_fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return absl::UnavailableError(std::string("connect: ") + std::strerror(error));
  return socket_fd;
}

absl::StatusOr<FileDescriptor> Connect(const HostPort& server, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(server.host.c_str(), server.port.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError("look up '" + Printable(server.host) + "': " + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, Freer<freeaddrinfo>> addresses(found);
  absl::Status last = absl::UnavailableError("no address");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    absl::StatusOr<FileDescriptor> socket_fd = ConnectTo(*address, deadline);
    if (socket_fd.ok()) return socket_fd;
    last = socket_fd.status();
  }
  return last;
}

bool IsIpAddress(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

std::string OpensslError() {
  char text[256] = "unknown TLS error";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  return text;
}

std::string Fingerprint(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return "";
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    if (i > 0) out.push_back(':');
    out += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  }
  return out;
}

std::string TakeText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

std::string Pem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return TakeText(bio.get());
}

std::string Subject(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  return TakeText(bio.get());
}

std::string CommonName(X509* certificate) {
  char name[256] = "";
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
  return size > 0 ? std::string(name, static_cast<size_t>(size)) : std::string();
}

std::string FormatIp(const ASN1_OCTET_STRING& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = address.length == 4 ? AF_INET : address.length == 16 ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC || inet_ntop(family, address.data, text, sizeof(text)) == nullptr) return "";
  return text;
}

// A DNS name where there is one: some TLS stacks treat addresses specially.
std::string NameItIsValidFor(X509* certificate) {
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string address;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      std::string dns(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                      static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
      if (dns.starts_with("*.")) dns.front() = 'x';  // any label will do
      return dns;
    }
    if (name->type == GEN_IPADD && address.empty()) address = FormatIp(*name->d.iPAddress);
  }
  return address.empty() ? CommonName(certificate) : address;
}

int64_t UnixSeconds(const ASN1_TIME* time) {
  tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<int64_t>(timegm(&parts)) : 0;
}

absl::StatusOr<SslPtr> NewSsl(SSL_CTX* context, const std::string& host) {
  SslPtr ssl(SSL_new(context));
  if (ssl == nullptr) return absl::InternalError("SSL_new: " + OpensslError());
  if (IsIpAddress(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl.get(), host.c_str());
    SSL_set1_host(ssl.get(), host.c_str());
  }
  static constexpr unsigned char kH2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl.get(), kH2, sizeof(kH2));
  // The SSL owns both.
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl.get());
  return ssl;
}

absl::Status SendPending(int fd, SSL* ssl, Deadline deadline) {
  char buffer[4096];
  for (int size; (size = BIO_read(SSL_get_wbio(ssl), buffer, sizeof(buffer))) > 0;) {
    for (std::string_view rest(buffer, static_cast<size_t>(size)); !rest.empty();) {
      const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        rest.remove_prefix(static_cast<size_t>(sent));
      } else if (errno == EAGAIN) {
        PB_RETURN_IF_ERROR(PollUntil(fd, POLLOUT, deadline));
      } else if (errno != EINTR) {
        return absl::UnavailableError(std::string("send: ") + std::strerror(errno));
      }
    }
  }
  return absl::OkStatus();
}

enum class Handshake { kDone, kNoTls };

// A TLS server's first byte is a handshake or alert record; anything else is somebody who does not speak TLS.
bool IsTlsRecord(char first_byte) { return first_byte == 0x16 || first_byte == 0x15; }

absl::StatusOr<Handshake> ShakeHands(int fd, SSL* ssl, Deadline deadline) {
  char buffer[16384];
  bool first = true;
  for (;;) {
    const int result = SSL_do_handshake(ssl);
    const int error = SSL_get_error(ssl, result);
    PB_RETURN_IF_ERROR(SendPending(fd, ssl, deadline));
    if (result == 1) return Handshake::kDone;
    if (error != SSL_ERROR_WANT_READ) return absl::UnavailableError("TLS handshake: " + OpensslError());
    PB_RETURN_IF_ERROR(PollUntil(fd, POLLIN, deadline));
    const ssize_t size = recv(fd, buffer, sizeof(buffer), 0);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return absl::UnavailableError("the connection was closed during the TLS handshake");
    if (std::exchange(first, false) && !IsTlsRecord(buffer[0])) return Handshake::kNoTls;
    BIO_write(SSL_get_rbio(ssl), buffer, static_cast<int>(size));
  }
}

}  // namespace

absl::StatusOr<std::optional<Certificate>> ProbeCertificate(const std::string& server,
                                                            std::chrono::milliseconds timeout) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout;
  PB_ASSIGN_OR_RETURN(const HostPort parts, SplitHostPort(server));
  const std::string context_text = "reach " + server;
  const SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return absl::InternalError("SSL_CTX_new: " + OpensslError());
  SSL_CTX_set_default_verify_paths(context.get());
  // Whatever it shows is looked at afterwards; the verdict of the system's authorities is kept in the verify result.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  PB_ASSIGN_OR_RETURN(const SslPtr ssl, NewSsl(context.get(), parts.host));

  absl::StatusOr<FileDescriptor> connection = Connect(parts, deadline);
  if (!connection.ok()) return WithContext(connection.status(), context_text);
  const absl::StatusOr<Handshake> handshake = ShakeHands(connection->get(), ssl.get(), deadline);
  ERR_clear_error();
  if (!handshake.ok()) return WithContext(handshake.status(), context_text);
  if (*handshake == Handshake::kNoTls) return std::optional<Certificate>();

  const X509Ptr leaf(SSL_get1_peer_certificate(ssl.get()));
  if (leaf == nullptr) return absl::UnavailableError(context_text + ": the server showed no certificate");
  Certificate certificate;
  certificate.fingerprint = Fingerprint(leaf.get());
  certificate.pem = Pem(leaf.get());
  certificate.subject = Subject(leaf.get());
  certificate.vouched = SSL_get_verify_result(ssl.get()) == X509_V_OK;
  certificate.override_name = NameItIsValidFor(leaf.get());
  certificate.not_before_unix_seconds = UnixSeconds(X509_get0_notBefore(leaf.get()));
  certificate.not_after_unix_seconds = UnixSeconds(X509_get0_notAfter(leaf.get()));
  return std::optional<Certificate>(std::move(certificate));
}

}  // namespace pulseboard::client
