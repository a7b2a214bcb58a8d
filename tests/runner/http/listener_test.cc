// SPDX-License-Identifier: Apache-2.0
#include "runner/http/listener.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/formats/support.h"
#include "tests/runner/http/fixture.h"

namespace retort {
namespace {

class HttpListenerTest : public testing::Test {
 protected:
  std::string Refused(const Path& file, Error::Kind kind) {
    try {
      HttpListener::OnFile(file);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "it listens on " << file;
    return "";
  }
  TemporaryFolder folder_;
  const Path file_ = folder_.path() / "socket";
};

TEST_F(HttpListenerTest, MakesAFileForItsOwnerAndRemovesIt) {
  {
    const HttpListener listener = HttpListener::OnFile(file_);
    struct stat made {};
    ASSERT_EQ(::lstat(file_.c_str(), &made), 0);
    EXPECT_EQ(made.st_mode, S_IFSOCK | 0600u);
    EXPECT_TRUE(RawClient(file_).connected());
    EXPECT_TRUE(listener.loopback());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(HttpListenerTest, ReplacesTheFileOfAServerThatIsGone) {
  {
    HttpListener killed = HttpListener::OnFile(file_);
    std::filesystem::rename(file_, folder_.path() / "kept");
  }
  std::filesystem::rename(folder_.path() / "kept", file_);
  EXPECT_FALSE(RawClient(file_).connected());
  const HttpListener listener = HttpListener::OnFile(file_);
  EXPECT_TRUE(RawClient(file_).connected());
}

TEST_F(HttpListenerTest, LeavesWhatIsNotItsOwn) {
  {
    const HttpListener listener = HttpListener::OnFile(file_);
    EXPECT_NE(Refused(file_, Error::Kind::kFailure).find("another server"), std::string::npos);
    EXPECT_TRUE(RawClient(file_).connected());
    std::filesystem::remove(file_);
    WriteTextAtomically(file_, "mine");
  }
  EXPECT_EQ(ReadText(file_), "mine");
  EXPECT_NE(Refused(file_, Error::Kind::kInput).find("no socket"), std::string::npos);
  EXPECT_EQ(ReadText(file_), "mine");
}

TEST_F(HttpListenerTest, LeavesTheLockFilesOfOthers) {
  const Path lock = folder_.path() / "socket.lock", own = folder_.path() / ".socket.retort-lock";
  WriteTextAtomically(lock, "mine");
  { const HttpListener listener = HttpListener::OnFile(file_); }
  EXPECT_EQ(ReadText(lock), "mine");
  WriteTextAtomically(own, "mine too");
  EXPECT_NE(Refused(file_, Error::Kind::kInput).find("no lock file"), std::string::npos);
  EXPECT_EQ(ReadText(own), "mine too");
}

TEST_F(HttpListenerTest, RefusesPathsThatNoSocketCanHave) {
  Refused(folder_.path() / std::string(120, 'a'), Error::Kind::kInput);
  Refused("", Error::Kind::kInput);
  Refused(folder_.path() / "missing" / "socket", Error::Kind::kFailure);
}

TEST_F(HttpServerTest, ListensOnAFileBesideThePort) {
  const TemporaryFolder folder;
  options_.file = folder.path() / "socket";
  Start();
  ASSERT_EQ(server_->urls().size(), 2u);
  EXPECT_EQ(server_->urls()[1], "unix:" + options_.file.native());
  EXPECT_EQ(Ask(Get("/ok")).body, "ok");
  RawClient client(options_.file);
  client.Send(Get("/ok"));
  EXPECT_EQ(client.Read().body, "ok");
  client.Send(Post("/echo", "same connection"));
  EXPECT_EQ(client.Read().body, "same connection");
  client.Send("GET /ok HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(client.Read().status, 403);
  Stop();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(HttpServerTest, ListensOnAFileAlone) {
  const TemporaryFolder folder;
  options_.file = folder.path() / "socket";
  options_.on_port = false;
  options_.host = "198.51.100.1";  // nobody's here
  Start();
  EXPECT_EQ(server_->urls(), std::vector<std::string>{"unix:" + options_.file.native()});
  EXPECT_EQ(server_->port(), 0);
  EXPECT_TRUE(server_->loopback());
  RawClient client(options_.file);
  client.Send(Get("/ok"));
  EXPECT_EQ(client.Read().body, "ok");
}

}  // namespace
}  // namespace retort
