/**
 * The structures that are read, as Apple's headers have them for macOS 11.5 to 15.5 on arm64 and x86_64 alike. Only the fields that are
 * used; the size is the whole structure's. Darwin 20 is macOS 11, 24 is macOS 15; newer ones have not been seen, and a structure of theirs
 * that has another size is not read.
 */
import { structure } from './layout.ts';

export const xinpgen = structure('xinpgen', 'bsd/netinet/in_pcb.h', [[20, 24]], {
  xig_len: [0, 'u32'],
  xig_count: [4, 'u32'],
  xig_gen: [8, 'u64'],
});

/** What every record of pcblist_n begins with. */
export const recordHead = structure('record', 'bsd/netinet/in_pcb.h', [[20, 8]], {
  len: [0, 'u32'],
  kind: [4, 'u32'],
});

export const xinpcbN = structure('xinpcb_n', 'bsd/netinet/in_pcb.h', [[20, 104]], {
  xi_inpp: [8, 'u64'],
  inp_fport: [16, 'u16n'],
  inp_lport: [18, 'u16n'],
  inp_gencnt: [28, 'u64'],
  inp_flags: [36, 'u32'],
  inp_vflag: [44, 'u8'],
  inp_dependfaddr: [48, 16],
  inp_dependladdr: [64, 16],
});

export const xsocketN = structure(
  'xsocket_n',
  'bsd/sys/socketvar.h',
  [
    [20, 76],
    [22, 104],
  ],
  {
    xso_so: [8, 'u64'],
    so_type: [16, 'i16'],
    so_options: [20, 'u32'],
    so_state: [26, 'u16'],
    xso_protocol: [36, 'i32'],
    xso_family: [40, 'i32'],
    so_qlen: [44, 'i16'],
    so_qlimit: [48, 'i16'],
    so_uid: [64, 'u32'],
    so_last_pid: [68, 'i32'],
    so_e_pid: [72, 'i32'],
    /** Since macOS 13. */
    so_flags: [84, 'u32'],
  },
);

export const xtcpcbN = structure('xtcpcb_n', 'bsd/netinet/tcp_var.h', [[20, 204]], {
  t_timer_2msl: [32, 'u32'],
  t_state: [36, 'i32'],
});

export const socketFdinfo = structure('socket_fdinfo', 'bsd/sys/proc_info.h', [[20, 792]], {
  soi_so: [160, 'u64'],
  soi_type: [176, 'i32'],
  soi_protocol: [180, 'i32'],
  soi_family: [184, 'i32'],
  soi_options: [188, 'u16'],
  soi_qlen: [194, 'u16'],
  soi_qlimit: [198, 'u16'],
  soi_kind: [256, 'i32'],
  insi_fport: [264, 'u16n'],
  insi_lport: [268, 'u16n'],
  insi_gencnt: [272, 'u64'],
  insi_flags: [280, 'u32'],
  insi_vflag: [288, 'u8'],
  insi_faddr: [296, 16],
  insi_laddr: [312, 16],
  tcpsi_state: [344, 'i32'],
  sun_len: [280, 'u8'],
  sun_path: [282, 104],
});

export const procFdinfo = structure('proc_fdinfo', 'bsd/sys/proc_info.h', [[20, 8]], {
  proc_fd: [0, 'i32'],
  proc_fdtype: [4, 'u32'],
});

export const procFileportinfo = structure('proc_fileportinfo', 'bsd/sys/proc_info.h', [[20, 8]], {
  proc_fileport: [0, 'u32'],
  proc_fdtype: [4, 'u32'],
});

export const procBsdshortinfo = structure('proc_bsdshortinfo', 'bsd/sys/proc_info.h', [[20, 64]], {
  pbsi_pid: [0, 'u32'],
  pbsi_ppid: [4, 'u32'],
  pbsi_pgid: [8, 'u32'],
  pbsi_status: [12, 'u32'],
  pbsi_comm: [16, 16],
  pbsi_uid: [36, 'u32'],
});

export const procUniqidentifierinfo = structure('proc_uniqidentifierinfo', 'bsd/sys/proc_info_private.h', [[20, 56]], {
  p_uniqueid: [16, 'u64'],
  p_puniqueid: [24, 'u64'],
  p_idversion: [32, 'u32'],
});

export const procVnodepathinfo = structure('proc_vnodepathinfo', 'bsd/sys/proc_info.h', [[20, 2352]], {
  vip_path: [152, 1024],
});

export const kinfoProc = structure('kinfo_proc', 'bsd/sys/sysctl.h', [[20, 648]], {
  tv_sec: [0, 'u64'],
  tv_usec: [8, 'u32'],
  p_flag: [32, 'u32'],
  p_stat: [36, 'u8'],
  p_pid: [40, 'i32'],
  p_comm: [243, 17],
  cr_uid: [420, 'u32'],
  e_ppid: [560, 'i32'],
  e_pgid: [564, 'i32'],
  e_tdev: [572, 'i32'],
  e_tpgid: [576, 'i32'],
});

export const xunpgen = structure('xunpgen', 'bsd/sys/unpcb.h', [[20, 24]], {
  xug_len: [0, 'u32'],
  xug_count: [4, 'u32'],
});

export const xunpcb64 = structure('xunpcb64', 'bsd/sys/unpcb.h', [[20, 724]], {
  xu_len: [0, 'u32'],
  xunp_vnode: [36, 'u64'],
  xunp_conn: [52, 'u64'],
  xunp_gencnt: [92, 'u64'],
  sun_len: [104, 'u8'],
  sun_path: [106, 104],
  xso_so: [620, 'u64'],
  so_type: [628, 'i16'],
  so_options: [630, 'u16'],
  so_qlen: [652, 'u16'],
  so_qlimit: [656, 'u16'],
  so_uid: [720, 'u32'],
});

export const kevent64 = structure('kevent64_s', 'bsd/sys/event.h', [[20, 48]], {
  ident: [0, 'u64'],
  filter: [8, 'i16'],
  flags: [10, 'u16'],
  fflags: [12, 'u32'],
  data: [16, 'u64'],
});

/** The structures that are checked against Apple's headers by test/os/darwin/layouts.test.ts. */
export const structures = [
  xinpgen,
  xinpcbN,
  xsocketN,
  xtcpcbN,
  socketFdinfo,
  procFdinfo,
  procFileportinfo,
  procBsdshortinfo,
  procUniqidentifierinfo,
  procVnodepathinfo,
  kinfoProc,
  xunpgen,
  xunpcb64,
  kevent64,
] as const;
