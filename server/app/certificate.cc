#include "server/app/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <memory>

#include "common/base/errors.h"
#include "common/base/handles.h"
#include "common/base/log.h"
#include "server/app/files.h"

namespace pulseboard {
namespace {

constexpr int64_t kValidDays = 3650;

using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

absl::Status OpenSslError(const std::string& what) {
  const unsigned long code = ERR_get_error();
  char text[256] = "unknown reason";
  if (code != 0) ERR_error_string_n(code, text, sizeof(text));
  ERR_clear_error();
  return absl::InternalError(what + ": " + text);
}

X509Ptr ParseCertificate(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return certificate;
}

KeyPtr ParseKey(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // An encrypted key would make OpenSSL ask on the terminal; a server has none.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key;
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

bool AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

absl::StatusOr<X509Ptr> SelfSign(EVP_PKEY* key, const Clock& clock) {
  X509Ptr certificate(X509_new());
  X509* x = certificate.get();
  unsigned char serial[16];
  RAND_bytes(serial, sizeof(serial));
  serial[0] &= 0x7f;  // serial numbers are positive
  BIGNUM* number = BN_bin2bn(serial, sizeof(serial), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
  BN_free(number);
  X509_set_version(x, X509_VERSION_3);
  // An hour back, for clients whose clock is behind.
  const time_t now = clock.NowUnixNanos() / kNanosPerSecond;
  ASN1_TIME_set(X509_getm_notBefore(x), now - 3600);
  ASN1_TIME_set(X509_getm_notAfter(x), now + kValidDays * 86'400);
  X509_set_pubkey(x, key);
  const std::string host = HostName();
  const std::string common_name = "pulseboardd";
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  // A comma or colon would be read as further names.
  if (!host.empty() && host != "localhost" && host.find_first_of(",: ") == std::string::npos) {
    names = "DNS:" + host + "," + names;
  }
  if (!AddExtension(x, NID_subject_alt_name, names) || !AddExtension(x, NID_basic_constraints, "critical,CA:TRUE") ||
      !AddExtension(x, NID_key_usage, "critical,digitalSignature,keyCertSign") ||
      !AddExtension(x, NID_ext_key_usage, "serverAuth") || X509_sign(x, key, EVP_sha256()) == 0) {
    return OpenSslError("cannot make a certificate");
  }
  return certificate;
}

absl::Status MakeFiles(const std::string& certificate_file, const std::string& key_file, const Clock& clock) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("cannot make a key");
  PB_ASSIGN_OR_RETURN(const X509Ptr certificate, SelfSign(key.get(), clock));
  const BioPtr key_pem(BIO_new(BIO_s_mem()));
  const BioPtr certificate_pem(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate_pem.get(), certificate.get()) != 1) {
    return OpenSslError("cannot write a certificate");
  }
  // The key goes last: a crash between leaves a certificate without key, which the next start replaces.
  PB_RETURN_IF_ERROR(WriteFileAtomically(certificate_file, Contents(certificate_pem.get()), 0644));
  return WriteFileAtomically(key_file, Contents(key_pem.get()), 0600);
}

}  // namespace

absl::StatusOr<TlsIdentity> LoadTlsIdentity(const std::string& certificate_file, const std::string& key_file,
                                            const Clock& clock) {
  TlsIdentity identity;
  PB_ASSIGN_OR_RETURN(identity.pair.certificate_pem, ReadFile(certificate_file));
  PB_ASSIGN_OR_RETURN(identity.pair.private_key_pem, ReadFile(key_file));
  const X509Ptr certificate = ParseCertificate(identity.pair.certificate_pem);
  if (certificate == nullptr) return absl::FailedPreconditionError(certificate_file + ": holds no PEM certificate");
  const KeyPtr key = ParseKey(identity.pair.private_key_pem);
  if (key == nullptr) return absl::FailedPreconditionError(key_file + ": holds no unencrypted PEM private key");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::FailedPreconditionError(key_file + ": is not the key of " + certificate_file);
  }
  time_t now = clock.NowUnixNanos() / kNanosPerSecond;
  if (X509_cmp_time(X509_get0_notBefore(certificate.get()), &now) > 0 ||
      X509_cmp_time(X509_get0_notAfter(certificate.get()), &now) < 0) {
    return absl::FailedPreconditionError(certificate_file + ": is not valid at this time");
  }
  PB_ASSIGN_OR_RETURN(identity.fingerprint, CertificateFingerprint(identity.pair.certificate_pem));
  return identity;
}

absl::StatusOr<TlsIdentity> LoadOrMakeTlsIdentity(const std::string& directory, const Clock& clock) {
  const std::string certificate_file = directory + "/tls.crt";
  const std::string key_file = directory + "/tls.key";
  if (access(key_file.c_str(), F_OK) != 0) {
    PB_RETURN_IF_ERROR(MakeFiles(certificate_file, key_file, clock));
    PB_LOG(Info, "app", "made certificate file={}", certificate_file);
  }
  return LoadTlsIdentity(certificate_file, key_file, clock);
}

absl::StatusOr<std::string> CertificateFingerprint(const std::string& pem) {
  const X509Ptr certificate = ParseCertificate(pem);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (certificate == nullptr || X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) {
    return absl::InvalidArgumentError("not a PEM certificate");
  }
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    if (i > 0) out.push_back(':');
    out += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  }
  return out;
}

absl::StatusOr<std::vector<std::string>> CertificateNames(const std::string& pem) {
  const X509Ptr certificate = ParseCertificate(pem);
  if (certificate == nullptr) return absl::InvalidArgumentError("not a PEM certificate");
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> out;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    GENERAL_NAME_print(bio.get(), sk_GENERAL_NAME_value(names.get(), i));
    out.push_back(Contents(bio.get()));
  }
  return out;
}

}  // namespace pulseboard
