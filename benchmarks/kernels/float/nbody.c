// variants: host machine supervisor linux
// Four planets and their sun: double precision with divisions and square roots.
#include "bench.h"
BENCH("nbody", 1);
enum { BODIES = 5, STEPS = 4000 };
static struct body { double x, y, z, vx, vy, vz, mass; } bodies[BODIES];

void bench_setup(void) {}

static void start(void) {
    static const struct body initial[BODIES] = {
        {0, 0, 0, 0.0004, -0.0028, 0.00002, 39.5},
        {4.8, -1.2, -0.1, 0.6, 2.8, -0.03, 0.0377},
        {8.3, 4.1, -0.4, -1.0, 1.8, 0.008, 0.0113},
        {12.9, -15.1, -0.2, 1.1, 0.87, -0.01, 0.0017},
        {15.4, -25.9, 0.18, 0.98, 0.6, -0.03, 0.002},
    };
    for (int i = 0; i < BODIES; i++) bodies[i] = initial[i];
}

static NOINLINE void advance(double dt) {
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double magnitude = dt / (square * __builtin_sqrt(square));
            a->vx -= dx * b->mass * magnitude;
            a->vy -= dy * b->mass * magnitude;
            a->vz -= dz * b->mass * magnitude;
            b->vx += dx * a->mass * magnitude;
            b->vy += dy * a->mass * magnitude;
            b->vz += dz * a->mass * magnitude;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

u64 bench_run(void) {
    start();
    for (int i = 0; i < STEPS; i++) advance(0.001);
    u64 sum = 0;
    for (int i = 0; i < BODIES; i++) {
        union { double number; u64 bits; } x = {bodies[i].x}, v = {bodies[i].vy};
        sum = bench_mix(bench_mix(sum, x.bits), v.bits);
    }
    return sum;
}
