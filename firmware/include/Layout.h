/* Sizes shared by the assembly and the Swift sources. */
#ifndef FIRMWARE_LAYOUT_H
#define FIRMWARE_LAYOUT_H

/* Most harts the firmware manages. Those beyond stay parked. */
#define MAX_HARTS 512
/* Bytes of one hart's area: its stack below, its state above. */
#define HART_AREA_SIZE 3584
/* Bytes of the area kept for the state (`Hart` in Hart.swift). */
#define HART_STATE_SIZE 1024
/* Bytes kept for the description of the machine (`Platform` in Platform.swift). */
#define PLATFORM_SIZE 1280
/* Stack of the hart that performs the cold boot. */
#define BOOT_STACK_SIZE 8192

/* Trap frame: x0...x31 in slots 0...31 (slot 0 unused), then mepc and mstatus. */
#define FRAME_MEPC 32
#define FRAME_MSTATUS 33
#define FRAME_SIZE (34 * 8)

#endif
