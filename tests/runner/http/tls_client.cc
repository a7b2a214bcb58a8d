// SPDX-License-Identifier: Apache-2.0
#include "tests/runner/http/tls_client.h"

#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <type_traits>

#include "base/error.h"

namespace retort {
namespace {

template <class T, auto Free>
using Kept = std::unique_ptr<T, std::integral_constant<decltype(Free), Free>>;
using KeptCertificate = Kept<X509, X509_free>;
using KeptKey = Kept<EVP_PKEY, EVP_PKEY_free>;

const unsigned char* TextBytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.c_str());
}

KeptCertificate SelfSigned(const std::string& name, EVP_PKEY* key) {
  KeptCertificate own(X509_new());
  X509_set_version(own.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(own.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(own.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(own.get()), 24L * 3600);
  X509_set_pubkey(own.get(), key);
  X509_NAME* subject = X509_get_subject_name(own.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, TextBytes(name), -1, -1, 0);
  X509_set_issuer_name(own.get(), subject);
  const Kept<X509_EXTENSION, X509_EXTENSION_free> host(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost"));
  X509_add_ext(own.get(), host.get(), -1);
  RETORT_CHECK(X509_sign(own.get(), key, EVP_sha256()) > 0);
  return own;
}

Kept<BIO, BIO_free> NewFile(const Path& file) {
  Kept<BIO, BIO_free> bio(BIO_new_file(file.c_str(), "w"));
  RETORT_CHECK(bio, file.string());
  return bio;
}

int NumberOf(TlsVersion version) {
  switch (version) {
    case TlsVersion::k11:
      return TLS1_1_VERSION;
    case TlsVersion::k12:
      return TLS1_2_VERSION;
    case TlsVersion::k13:
      return TLS1_3_VERSION;
    case TlsVersion::kAny:
      break;
  }
  return 0;
}

}  // namespace

void WriteCertificate(const Path& folder, const std::string& name, const std::string& password) {
  const KeptKey key(EVP_EC_gen("P-256"));
  const KeptCertificate own = SelfSigned(name, key.get());
  RETORT_CHECK(PEM_write_bio_X509(NewFile(folder / (name + ".crt")).get(), own.get()) == 1);
  const EVP_CIPHER* cipher = password.empty() ? nullptr : EVP_aes_128_cbc();
  RETORT_CHECK(PEM_write_bio_PrivateKey(NewFile(folder / (name + ".key")).get(), key.get(), cipher,
                                        TextBytes(password), static_cast<int>(password.size()),
                                        nullptr, nullptr) == 1);
}

struct TlsClient::State {
  Kept<SSL_CTX, SSL_CTX_free> context{SSL_CTX_new(TLS_client_method())};
  Kept<SSL, SSL_free> ssl;
  bool shaken = false;
};

TlsClient::TlsClient(int port, const Path& authority, TlsVersion version)
    : RawClient(port), state_(std::make_unique<State>()) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to connections that the server has closed
  SSL_CTX* context = state_->context.get();
  SSL_CTX_set_security_level(context, 0);  // it tries old versions too
  SSL_CTX_set_min_proto_version(context, NumberOf(version));
  SSL_CTX_set_max_proto_version(context, NumberOf(version));
  SSL_CTX_load_verify_file(context, authority.c_str());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  state_->ssl.reset(SSL_new(context));
  SSL* ssl = state_->ssl.get();
  SSL_set1_host(ssl, "localhost");
  SSL_set_fd(ssl, socket_);
  state_->shaken = SSL_connect(ssl) == 1;
}
TlsClient::~TlsClient() = default;

bool TlsClient::shaken() const { return state_->shaken; }
bool TlsClient::ended_in_order() const {
  return (SSL_get_shutdown(state_->ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}
void TlsClient::EndSession() { SSL_shutdown(state_->ssl.get()); }

void TlsClient::SendAndEndSession(const std::string& bytes) {
  const auto hold_back = [this](int on) {
    ::setsockopt(socket_, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
  };
  hold_back(1);
  Send(bytes);
  EndSession();
  hold_back(0);
}

void TlsClient::RenewKeys(int times) {
  SSL* ssl = state_->ssl.get();
  for (int i = 0; i < times; ++i) {
    if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1) return;
  }
}

ssize_t TlsClient::SendSome(const char* bytes, size_t count) {
  return SSL_write(state_->ssl.get(), bytes, static_cast<int>(count));
}
ssize_t TlsClient::ReceiveSome(char* bytes, size_t count) {
  return SSL_read(state_->ssl.get(), bytes, static_cast<int>(count));
}

}  // namespace retort
