// gRPC C++ unary echo, the peer of our calls: one channel, no TLS, no proxy, asynchronous on both
// sides with one thread each.
//   grpc_echo serve                              prints "listening on 127.0.0.1:PORT"
//   grpc_echo call PORT BYTES OUTSTANDING        answers windows; see bench/support/peer_row.hpp
#include "bench/support/peer_row.hpp"
#include "echo.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using clock = std::chrono::steady_clock;

/// One call of the server, from the request for it to its finish; then the next one.
class served {
  public:
    served(bench::Echo::AsyncService& service, grpc::ServerCompletionQueue& queue)
        : service_{service}, queue_{queue} {
        wait();
    }

    void advance(bool good) {
        if (!good) return; // the server shuts down
        if (!answering_) {
            answering_ = true;
            answer_.set_data(request_.data());
            call_->responder.Finish(answer_, grpc::Status::OK, this);
        } else {
            answering_ = false;
            wait();
        }
    }

  private:
    struct call {
        grpc::ServerContext context;
        grpc::ServerAsyncResponseWriter<bench::Payload> responder{&context};
    };

    void wait() {
        call_ = std::make_unique<call>(); // a context serves one call
        service_.RequestCall(&call_->context, &request_, &call_->responder, &queue_, &queue_, this);
    }

    bench::Echo::AsyncService& service_;
    grpc::ServerCompletionQueue& queue_;
    std::unique_ptr<call> call_;
    bench::Payload request_, answer_;
    bool answering_ = false;
};

void serve() {
    bench::Echo::AsyncService service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    const auto queue = builder.AddCompletionQueue();
    const auto server = builder.BuildAndStart();
    if (!server) throw std::runtime_error("the server did not start");
    std::vector<std::unique_ptr<served>> calls;
    for (int count = 0; count < 256; ++count)
        calls.push_back(std::make_unique<served>(service, *queue));
    std::cout << "listening on 127.0.0.1:" << port << std::endl;
    void* tag = nullptr;
    for (bool good = false; queue->Next(&tag, &good);) static_cast<served*>(tag)->advance(good);
}

class caller {
  public:
    caller(const std::string& port, std::size_t bytes, std::size_t outstanding)
        : stub_{bench::Echo::NewStub(
              grpc::CreateChannel("127.0.0.1:" + port, grpc::InsecureChannelCredentials()))},
          slots_(outstanding) {
        payload_.set_data(std::string(bytes, 'U'));
    }

    void run(std::size_t calls, bench::latencies& out) {
        std::size_t unsent = calls;
        const auto issue = [&](slot& s) {
            if (unsent == 0) return;
            --unsent;
            s.context = std::make_unique<grpc::ClientContext>();
            s.at = clock::now();
            s.reader = stub_->AsyncCall(s.context.get(), payload_, &queue_);
            s.reader->Finish(&s.answer, &s.status, &s);
        };
        for (slot& s : slots_) issue(s);
        for (std::size_t answered = 0; answered < calls; ++answered) {
            void* tag = nullptr;
            bool good = false;
            if (!queue_.Next(&tag, &good) || !good) throw std::runtime_error("no answer");
            slot& s = *static_cast<slot*>(tag);
            if (!s.status.ok()) throw std::runtime_error(s.status.error_message());
            if (s.answer.data() != payload_.data()) throw std::runtime_error("wrong answer");
            const std::chrono::nanoseconds took = clock::now() - s.at;
            out.push_back(static_cast<std::uint32_t>(took.count()));
            issue(s);
        }
    }

  private:
    struct slot {
        std::unique_ptr<grpc::ClientContext> context;
        std::unique_ptr<grpc::ClientAsyncResponseReader<bench::Payload>> reader;
        bench::Payload answer;
        grpc::Status status;
        clock::time_point at;
    };

    std::unique_ptr<bench::Echo::Stub> stub_;
    grpc::CompletionQueue queue_;
    std::vector<slot> slots_;
    bench::Payload payload_;
};

} // namespace

int main(int argc, char** argv) {
    try {
        const std::vector<std::string> words(argv + 1, argv + argc);
        if (words.size() == 1 && words[0] == "serve") {
            serve();
            return 0;
        }
        if (words.size() == 4 && words[0] == "call") {
            caller c{words[1], std::stoul(words[2]), std::stoul(words[3])};
            bench::answer_windows([&](std::size_t n, bench::latencies& out) { c.run(n, out); });
            return 0;
        }
        std::cerr << "usage: grpc_echo serve | grpc_echo call PORT BYTES OUTSTANDING\n";
        return 2;
    } catch (const std::exception& why) {
        std::cerr << "grpc_echo: " << why.what() << '\n';
        return 1;
    }
}
