// SPDX-License-Identifier: Apache-2.0
#include "bench/load/stream_client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/error.h"

namespace retort {
namespace {

// A server that sends the same bytes to each of its connections, and leaves it open until the
// client closes it.
class ByteServer {
 public:
  explicit ByteServer(std::string bytes) : bytes_(std::move(bytes)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, any, size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    url_ = Cat("http://127.0.0.1:", ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~ByteServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  ByteServer(const ByteServer&) = delete;
  ByteServer& operator=(const ByteServer&) = delete;

  const std::string& url() const { return url_; }

 private:
  void Serve() const {
    for (int peer = 0; (peer = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(peer)) {
      char request[1 << 10];
      if (::recv(peer, request, sizeof request, 0) <= 0) continue;
      if (::send(peer, bytes_.data(), bytes_.size(), MSG_NOSIGNAL) < 0) continue;
      while (::recv(peer, request, sizeof request, 0) > 0) continue;
    }
  }

  const std::string bytes_;
  std::string url_;
  int listener_ = -1;
  std::thread thread_;
};

std::string Got(const std::string& bytes, int seconds = 30) {
  const ByteServer server(bytes);
  const ServerAddress address = ResolveServerUrl(server.url());
  return StreamClient(address, "", seconds).Get("/x");
}

std::string FaultOf(const std::string& bytes, int seconds = 30) {
  try {
    return "none: " + Got(bytes, seconds);
  } catch (const Error& e) {
    return e.what();
  }
}

bool Tells(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(StreamClient, ReadsChunksWithTrailersInAnyCase) {
  EXPECT_EQ(Got("HTTP/1.1 200 OK\r\nTRANSFER-Encoding: Chunked\r\n\r\n"
                "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: 1\r\nB: 2\r\n\r\n"),
            "abcde");
}

TEST(StreamClient, StampsWhatComesAtOnceOnce) {
  const ByteServer server(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
  const ServerAddress address = ResolveServerUrl(server.url());
  std::vector<StreamClient::Clock::time_point> times;
  StreamClient(address, "", 30).Post("/x", "{}", [&](std::string_view, auto when) {
    times.push_back(when);
  });
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[0], times[1]);
}

TEST(StreamClient, TellsABeginningOfAnErrorsBody) {
  // Its end never comes, and is not waited for.
  const std::string fault =
      FaultOf("HTTP/1.1 503 Full\r\nContent-Length: 9000\r\n\r\n\x1b[31m" + std::string(1000, 'x'));
  EXPECT_TRUE(Tells(fault, "status 503: '\\x1b[31mxxx")) << fault;
  EXPECT_LT(fault.size(), 500u);
}

TEST(StreamClient, RefusesWhatHasNoEnd) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  EXPECT_TRUE(Tells(FaultOf(ok + "Content-Length: 5\r\n\r\nabc", 1), "no whole answer within 1 s"));
  EXPECT_TRUE(Tells(FaultOf(ok + std::string(100'000, 'x')), "no HTTP"));
  EXPECT_TRUE(Tells(FaultOf(ok + "Content-Length: 20000000\r\n\r\n" + std::string(20'000'000, 'x')),
                    "above 16"));
}

}  // namespace
}  // namespace retort
