// The server's TLS identity: the operator's files, or a self-signed certificate that a first start makes and keeps.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "server/rpc/grpc_server.h"

namespace pulseboard {

struct TlsIdentity {
  TlsKeyPair pair;
  std::string fingerprint;  // SHA-256 of the certificate, upper-case hex with colons: what clients pin
};

// Reads both files. NOT_FOUND or FAILED_PRECONDITION naming the file; also when key and certificate do not belong
// together or the certificate is not valid now.
absl::StatusOr<TlsIdentity> LoadTlsIdentity(const std::string& certificate_file, const std::string& key_file,
                                            const Clock& clock);

// LoadTlsIdentity of `directory`/tls.crt and tls.key. When neither is there, makes them: ECDSA P-256, valid 10 years,
// for this machine's name, localhost, 127.0.0.1 and ::1; the key with mode 0600.
absl::StatusOr<TlsIdentity> LoadOrMakeTlsIdentity(const std::string& directory, const Clock& clock);

// SHA-256 of the first certificate in `pem`. INVALID_ARGUMENT.
absl::StatusOr<std::string> CertificateFingerprint(const std::string& pem);
// The subject alternative names of the first certificate in `pem`, e.g. `DNS:localhost`, `IP Address:127.0.0.1`.
absl::StatusOr<std::vector<std::string>> CertificateNames(const std::string& pem);

}  // namespace pulseboard
