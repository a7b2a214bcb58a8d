// SPDX-License-Identifier: Apache-2.0
#include "runner/http/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <type_traits>
#include <utility>

#include "base/error.h"

namespace retort {
namespace {

template <class T, auto Free>
using Owned = std::unique_ptr<T, std::integral_constant<decltype(Free), Free>>;
using BioPtr = Owned<BIO, BIO_free>;
using CertificatePtr = Owned<X509, X509_free>;
using KeyPtr = Owned<EVP_PKEY, EVP_PKEY_free>;
using ContextPtr = Owned<SSL_CTX, SSL_CTX_free>;

// A client can renew its keys, or ask for another handshake, for ever and say nothing, and each
// time costs the server far more than the client. A handshake has three messages, and a key lasts
// for millions of records, so a session that comes to this many is an attack.
constexpr int kMostHandshakeMessages = 32;
// Bytes. Reading can stop only between such pieces, and this one holds few messages.
constexpr size_t kReceivedAtOnce = 1 << 10;

// OpenSSL's word for what went wrong last. Empties its list of errors.
std::string TlsFault() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason ? reason : "it does not say why";
}

// Instead of asking on the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

void CountHandshakeMessage(int sent, int, int type, const void*, size_t, SSL*, void* count) {
  if (sent == 0 && type == SSL3_RT_HANDSHAKE) ++*static_cast<int*>(count);
}

BioPtr BioOf(const std::string& text) {
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  RETORT_CHECK(bio);
  return bio;
}

void UseCertificate(SSL_CTX* context, const Path& file) {
  const std::string text = ReadText(file);
  const BioPtr bio = BioOf(text);
  const auto next = [&] {
    return CertificatePtr(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
  };
  const CertificatePtr own = next();
  if (!own) throw InputError(file.string(), ": has no certificate in PEM form: ", TlsFault());
  if (SSL_CTX_use_certificate(context, own.get()) != 1)
    throw InputError(file.string(), ": OpenSSL refuses the certificate: ", TlsFault());
  while (const CertificatePtr issuer = next()) {
    if (SSL_CTX_add1_chain_cert(context, issuer.get()) != 1)
      throw InputError(file.string(),
                       ": OpenSSL refuses a certificate behind the first: ", TlsFault());
  }
  ERR_clear_error();  // there are no more
}

void UseKey(SSL_CTX* context, const Path& file, const Path& certificate) {
  const std::string text = ReadText(file);
  const BioPtr bio = BioOf(text);
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  if (!key)
    throw InputError(file.string(),
                     ": has no private key in PEM form without a password: ", TlsFault());
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
    ERR_clear_error();
    throw InputError(file.string(), ": is not the key of the certificate in ",
                     certificate.string());
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    throw InputError(file.string(), ": OpenSSL refuses the key: ", TlsFault());
}

ContextPtr NewContext(const Path& certificate, const Path& key) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  RETORT_CHECK(context && SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  UseCertificate(context.get(), certificate);
  UseKey(context.get(), key, certificate);
  return context;
}

}  // namespace

struct TlsContext::State {
  ContextPtr context;
};

TlsContext::TlsContext(Path certificate, Path key)
    : certificate_(std::move(certificate)),
      key_(std::move(key)),
      state_(std::make_unique<State>(State{NewContext(certificate_, key_)})) {}
TlsContext::~TlsContext() = default;

void TlsContext::Reload() { state_->context = NewContext(certificate_, key_); }

struct TlsSession::State {
  Owned<SSL, SSL_free> ssl;
  BIO *in = nullptr, *out = nullptr;  // ssl's own
  int handshake_messages = 0;         // that have arrived
};

TlsSession::TlsSession(const TlsContext& context) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.ssl.reset(SSL_new(context.state_->context.get()));
  s.in = BIO_new(BIO_s_mem());
  s.out = BIO_new(BIO_s_mem());
  if (!s.ssl || !s.in || !s.out) {
    BIO_free(s.in);
    BIO_free(s.out);
    throw Failure("no memory for a TLS session");
  }
  SSL_set_bio(s.ssl.get(), s.in, s.out);
  SSL_set_accept_state(s.ssl.get());
  SSL_set_msg_callback(s.ssl.get(), CountHandshakeMessage);
  SSL_set_msg_callback_arg(s.ssl.get(), &s.handshake_messages);
}
TlsSession::~TlsSession() = default;

bool TlsSession::Receive(std::string_view arrived, std::string& plain) {
  const State& s = *state_;
  ERR_clear_error();  // of others; SSL_get_error would take it for its own
  bool open = true;
  while (open && !arrived.empty()) {
    const std::string_view piece = arrived.substr(0, kReceivedAtOnce);
    arrived.remove_prefix(piece.size());
    size_t count = 0;
    if (BIO_write_ex(s.in, piece.data(), piece.size(), &count) != 1) return false;
    char bytes[16 << 10];
    // The handshake is part of reading.
    while (SSL_read_ex(s.ssl.get(), bytes, sizeof bytes, &count) == 1) plain.append(bytes, count);
    open = SSL_get_error(s.ssl.get(), 0) == SSL_ERROR_WANT_READ &&
           s.handshake_messages <= kMostHandshakeMessages;
  }
  ERR_clear_error();
  return open;
}

void TlsSession::Send(std::string_view plain) {
  size_t count = 0;
  if (plain.empty()) return;
  if (SSL_write_ex(state_->ssl.get(), plain.data(), plain.size(), &count) != 1)
    throw Failure("TLS: cannot send: ", TlsFault());
}

void TlsSession::End() {
  SSL_shutdown(state_->ssl.get());
  ERR_clear_error();
}

std::string TlsSession::TakeOutgoing() {
  std::string outgoing(BIO_ctrl_pending(state_->out), '\0');
  size_t count = 0;
  if (!outgoing.empty()) BIO_read_ex(state_->out, outgoing.data(), outgoing.size(), &count);
  outgoing.resize(count);
  return outgoing;
}

}  // namespace retort
