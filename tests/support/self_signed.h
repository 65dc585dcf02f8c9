// Certificates for tests.
#pragma once

#include <string>
#include <vector>

namespace pulseboard::testing {

struct KeyAndCertificate {
  std::string key_pem;
  std::string certificate_pem;
};

// P-256, good for an hour. `alternative_names` as in openssl: "DNS:localhost", "IP:127.0.0.1". `issuer` null: signed by
// itself.
KeyAndCertificate MakeCertificate(const std::string& common_name, const std::vector<std::string>& alternative_names,
                                  const KeyAndCertificate* issuer = nullptr);

}  // namespace pulseboard::testing
