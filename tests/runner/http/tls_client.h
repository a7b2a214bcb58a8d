// SPDX-License-Identifier: Apache-2.0
// A client of TLS, and certificates for its servers.
#pragma once

#include <memory>
#include <string>

#include "tests/runner/http/client.h"

namespace retort {

// Writes FOLDER/NAME.crt, made for localhost and signed by itself, and FOLDER/NAME.key. password:
// of the key's file; "": none.
void WriteCertificate(const Path& folder, const std::string& name,
                      const std::string& password = "");

enum class TlsVersion { kAny, k11, k12, k13 };

// Trusts the certificate of `authority` alone.
class TlsClient : public RawClient {
 public:
  TlsClient(int port, const Path& authority, TlsVersion version = TlsVersion::kAny);
  ~TlsClient() override;

  bool shaken() const;                               // the handshake has succeeded
  bool ended_in_order() const;                       // the server has said that it ends the session
  void EndSession();                                 // the connection stays open
  void SendAndEndSession(const std::string& bytes);  // both arrive at once
  // Of TLS 1.3. The server is asked to renew its own too each time.
  void RenewKeys(int times);

 protected:
  ssize_t SendSome(const char* bytes, size_t count) override;
  ssize_t ReceiveSome(char* bytes, size_t count) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
