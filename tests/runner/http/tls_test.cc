// SPDX-License-Identifier: Apache-2.0
#include "runner/http/tls.h"

#include <gtest/gtest.h>

#include <csignal>
#include <future>

#include "tests/formats/support.h"
#include "tests/runner/http/fixture.h"
#include "tests/runner/http/tls_client.h"

namespace retort {
namespace {

class TlsTest : public HttpServerTest {
 protected:
  TlsTest() {
    WriteCertificate(folder_.path(), "own");
    options_.certificate = folder_ / "own.crt";
    options_.key = folder_ / "own.key";
  }
  std::unique_ptr<TlsClient> Connect(TlsVersion version = TlsVersion::kAny) {
    return std::make_unique<TlsClient>(server_->port(), options_.certificate, version);
  }
  // Waits for the handler to have `count` exchanges that wait.
  std::vector<std::shared_ptr<HttpExchange>> Waiting(size_t count) {
    for (;;) {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= count) return waiting_;
      std::this_thread::yield();
    }
  }
  TemporaryFolder folder_;
};

TEST_F(TlsTest, AnswersAsWithoutIt) {
  Start();
  EXPECT_EQ(server_->urls(), std::vector{Cat("https://127.0.0.1:", server_->port())});
  for (const TlsVersion version : {TlsVersion::k12, TlsVersion::k13}) {
    const auto client = Connect(version);
    ASSERT_TRUE(client->shaken());
    client->Send(Get("/ok"));
    EXPECT_EQ(client->Read().body, "ok");
    const std::string large(1 << 20, 'x');
    client->Send(Post("/echo", large));
    EXPECT_EQ(client->Read().body, large);
    client->Send(Get("/big"));
    EXPECT_EQ(client->Read().body.size(), kBig);
    client->Send(Post("/pour", ""));
    EXPECT_EQ(client->Read().body, std::string(kBig, 'p'));
    client->Send("GET /ok HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    EXPECT_EQ(client->Read().status, 403);
  }
}

TEST_F(TlsTest, ReadsRequestsThatComeEarly) {
  Start();
  const auto client = Connect();
  client->Send(Get("/big") + Get("/ok"));
  EXPECT_EQ(client->Read().body.size(), kBig);
  EXPECT_EQ(client->Read().body, "ok");
  client->Send(Post("/wait", ""));
  const auto waiting = Waiting(1);
  client->Send(Get("/ok"));
  client->Send(Post("/echo", "third"));
  waiting[0]->Answer({200, "waited", "text/plain", {}});
  EXPECT_EQ(client->Read().body, "waited");
  EXPECT_EQ(client->Read().body, "ok");
  EXPECT_EQ(client->Read().body, "third");
}

TEST_F(TlsTest, NoticesThatAClientEndsItsSession) {
  Start();
  const auto client = Connect();
  client->Send(Post("/wait", ""));
  std::promise<void> gone;
  Waiting(1)[0]->OnGone([&] { gone.set_value(); });
  client->EndSession();
  EXPECT_EQ(gone.get_future().wait_for(120s), std::future_status::ready);
}

TEST_F(TlsTest, AnswersAClientThatEndsItsSessionRightBehindTheRequest) {
  Start();
  const auto client = Connect();
  client->SendAndEndSession(Get("/big"));
  EXPECT_EQ(client->Read().body.size(), kBig);
  EXPECT_TRUE(client->AtEnd());
}

// Each renewal costs the server far more than the client.
TEST_F(TlsTest, EndsASessionThatRenewsItsKeysForEver) {
  Start();
  const auto fair = Connect(TlsVersion::k13);
  for (int i = 0; i < 4; ++i) {
    fair->RenewKeys(5);
    fair->Send(Get("/ok"));
    EXPECT_EQ(fair->Read().body, "ok");
  }
  for (const bool meanwhile : {false, true}) {
    const auto client = Connect(TlsVersion::k13);
    if (meanwhile) {  // it waits for an answer
      client->Send(Post("/wait", ""));
      Waiting(1);
    }
    client->RenewKeys(1000);
    client->Send(Get("/ok"));
    EXPECT_EQ(client->Read().status, 0);
  }
}

TEST_F(TlsTest, EndsItsSessionsInOrder) {
  Start();
  const auto client = Connect();
  client->Send("GET /ok HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client->Read().body, "ok");
  EXPECT_TRUE(client->AtEnd());
  EXPECT_TRUE(client->ended_in_order()) << "the end could be somebody else's";
}

TEST_F(TlsTest, RefusesOldVersionsAndPlainText) {
  Start();
  EXPECT_FALSE(Connect(TlsVersion::k11)->shaken());
  RawClient plain(server_->port());
  plain.Send(Get("/ok"));
  EXPECT_EQ(plain.Read().status, 0);
  const auto client = Connect();
  client->Send(Get("/ok"));
  EXPECT_EQ(client->Read().body, "ok");
}

TEST_F(TlsTest, WaitsForAHandshakeAsForAHeader) {
  options_.read_timeout = 300ms;
  Start();
  RawClient silent(server_->port()), slow(server_->port());
  slow.Send(std::string("\x16\x03\x01", 3));  // the beginning of a handshake
  EXPECT_TRUE(silent.AtEnd());
  EXPECT_TRUE(slow.AtEnd());
}

TEST_F(TlsTest, ClosesAHandshakeWhenOthersWait) {
  options_.connections = 1;
  Start();
  RawClient slow(server_->port());
  slow.Send(std::string("\x16\x03\x01", 3));
  const auto client = Connect();
  client->Send(Get("/ok"));
  EXPECT_EQ(client->Read().body, "ok");
  EXPECT_TRUE(slow.AtEnd());
}

TEST_F(TlsTest, ReadsItsFilesAgainAtSighup) {
  std::promise<std::string> first, second;
  int count = 0;
  options_.catch_signals = true;
  options_.on_reload = [&](const std::string& fault) {
    (count++ == 0 ? first : second).set_value(fault);
  };
  Start();
  const auto before = Connect();
  const Path old = folder_ / "old.crt";
  std::filesystem::copy_file(options_.certificate, old);
  WriteCertificate(folder_.path(), "own");
  std::raise(SIGHUP);
  EXPECT_EQ(first.get_future().get(), "");
  EXPECT_TRUE(Connect()->shaken());
  EXPECT_FALSE(TlsClient(server_->port(), old).shaken());
  before->Send(Get("/ok"));
  EXPECT_EQ(before->Read().body, "ok") << "a session that had begun";

  const std::string good = ReadText(options_.certificate);
  WriteTextAtomically(options_.certificate, "none");
  std::raise(SIGHUP);
  EXPECT_NE(second.get_future().get().find("own.crt"), std::string::npos);
  WriteTextAtomically(options_.certificate, good);
  EXPECT_TRUE(Connect()->shaken());
}

TEST_F(TlsTest, AFailureToTellOfAReloadIsNotTheEndOfIt) {
  std::promise<void> second;
  int count = 0;
  options_.catch_signals = true;
  options_.on_reload = [&](const std::string&) {
    if (count++ == 0) {
      std::raise(SIGHUP);
      throw std::runtime_error("nobody listens");
    }
    second.set_value();
  };
  Start();
  std::raise(SIGHUP);
  EXPECT_EQ(second.get_future().wait_for(60s), std::future_status::ready);
}

TEST_F(TlsTest, NamesTheFileThatIsWrong) {
  WriteCertificate(folder_.path(), "other");
  WriteCertificate(folder_.path(), "locked", "password");
  const auto refused = [&](const char* certificate, const char* key) -> std::string {
    try {
      TlsContext(folder_ / certificate, folder_ / key);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
      return e.what();
    }
    ADD_FAILURE() << certificate << " and " << key << " are accepted";
    return "";
  };
  const auto contains = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(contains(refused("own.crt", "other.key"), "own.crt"));
  EXPECT_TRUE(contains(refused("own.crt", "other.key"), "other.key: is not the key"));
  EXPECT_TRUE(contains(refused("own.key", "own.key"), "own.key: has no certificate"));
  EXPECT_TRUE(contains(refused("own.crt", "own.crt"), "own.crt: has no private key"));
  EXPECT_TRUE(contains(refused("locked.crt", "locked.key"), "without a password"));
  EXPECT_TRUE(contains(refused("missing.crt", "own.key"), "missing.crt"));
  EXPECT_TRUE(contains(refused("own.crt", "missing.key"), "missing.key"));
}

}  // namespace
}  // namespace retort
